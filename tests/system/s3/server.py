"""An S3-compatible server on a free port of this machine, with a bucket and one account, which may
put, get and delete objects there and do nothing else.

Says in one line of JSON where it is, then answers one line for each line of its input: `list` with
the keys in the bucket, `drop KEY` when that is gone. Ends with its input.
"""

import json
import sys

import boto3
import requests
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

BUCKET = "files"
REGION = "us-east-1"
POLICY = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    },
}


def account(url):
    """Makes the bucket and the account; from then on, nobody else is let in."""
    access = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
    client = lambda name: boto3.client(
        name, endpoint_url=url, region_name=REGION, **access
    )
    client("s3").create_bucket(Bucket=BUCKET)
    iam = client("iam")
    iam.create_user(UserName="gateway")
    iam.put_user_policy(
        UserName="gateway", PolicyName="objects", PolicyDocument=json.dumps(POLICY)
    )
    key = iam.create_access_key(UserName="gateway")["AccessKey"]
    requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()
    return key


def keys():
    """What is in the bucket, by name."""
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys


def say(what):
    print(json.dumps(what), flush=True)


server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())
key = account(url)
say({"url": url, "key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]})
for line in sys.stdin:
    match line.split():
        case ["list"]:
            say(sorted(keys().keys()))
        case ["drop", name]:
            del keys()[name]
            say(name)
server.stop()

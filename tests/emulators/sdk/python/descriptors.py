"""Prints the descriptors of envd's services as the SDK has them, one line of hex each."""

from e2b.envd.filesystem import filesystem_pb
from e2b.envd.process import process_pb

for module in [process_pb, filesystem_pb]:
    print(module.desc().proto.to_binary().hex())

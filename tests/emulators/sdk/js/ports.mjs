// Ports, by the host names that the SDK has for them.

import assert from 'node:assert/strict'
import http from 'node:http'
import { run, soon, withSandbox } from './common.mjs'

const SERVER = `perl -MIO::Socket::INET -e '
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 16, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    while (my $line = <$client>) { last if $line =~ /^\\r?\\n/ }
    print $client "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\nhello";
    close $client;
}'`

// No name server knows the name here, so the emulator's address stands for it.
function get(host, headers = {}) {
  return new Promise((done, failed) => {
    const asked = http.get(process.env.E2B_API_URL, { headers: { host, ...headers } }, (answer) => {
      let body = ''
      answer.on('data', (part) => { body += part })
      answer.on('end', () => done([answer.statusCode, body]))
    })
    asked.on('error', failed)
  })
}

async function reached(box) {
  const host = box.getHost(8080)
  assert.equal(host.split('.')[0], `8080-${box.sandboxId}`)
  const headers = { 'e2b-traffic-access-token': box.trafficAccessToken }
  const [status, said] = await get(host, headers)
  assert.equal(status, 502)
  assert(said.includes('port is not open'))
  await box.commands.run(SERVER, { background: true })
  await soon(async () => (await get(host, headers))[1] === 'hello')
  assert.equal((await get(host))[0], 403)
}

const network = { allowPublicTraffic: false }
await withSandbox({ timeoutMs: 120_000, allowInternetAccess: false, network }, (box) => run([reached], box))

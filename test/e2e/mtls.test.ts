/** Mutual TLS in a running mesh: on with no setting, loosened by policy, and never in the way of traffic. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { askAdmin } from '../../src/agent/admin-client.ts'
import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { RunningMesh, sendRequests } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const envoy = findEnvoy()

interface StatusRow {
  readonly name: string
  readonly certificate?: { readonly spiffeId: string; readonly notAfter: string }
  readonly exposure: string
  readonly callers: readonly {
    readonly from: string
    readonly lock: string
    readonly principal: string
    readonly count: number
  }[]
}

async function status(mesh: RunningMesh): Promise<readonly StatusRow[]> {
  const { out, error } = await mesh.tulle('status', '-o', 'json')
  assert.equal(error, '')
  return JSON.parse(out) as readonly StatusRow[]
}

/** The status of a plaintext request, or the code of what happened instead. */
function plaintext(address: string | undefined): Promise<number | string> {
  return new Promise((resolve) => {
    const sent = request(`http://${address}/`, { agent: false, timeout: 5_000 }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode ?? 0))
      answer.on('error', () => resolve('cut'))
    })
    sent.on('timeout', () => sent.destroy(new Error('silence')))
    sent.on('error', () => resolve('refused'))
    sent.end()
  })
}

function peerAuthentication(mode: string): string {
  return `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: default }
spec: { mtls: { mode: ${mode} } }
`
}

/** Requests without pause until they are ended, at the latest with the scope that began them. */
class Traffic implements AsyncDisposable {
  readonly #failures: string[] = []
  readonly #ending = new AbortController()
  readonly #running: Promise<void>
  #total = 0

  constructor(mesh: RunningMesh) {
    this.#running = this.#run(mesh.workload('load').proxy ?? '')
  }

  async end(): Promise<{ readonly total: number; readonly failures: readonly string[] }> {
    this.#ending.abort()
    await this.#running
    return { total: this.#total, failures: this.#failures }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  async #run(proxy: string): Promise<void> {
    while (!this.#ending.signal.aborted) {
      // Connections of its own each time; between the sidecars they are kept.
      const answers = await sendRequests(proxy, url, 20)
      this.#failures.push(...answers.failures)
      this.#total += 20
    }
  }
}

suite('mutual TLS', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.start()
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const meshPort = () => mesh.workload('my-go-service-v1').ports[0]?.mesh
  const proxy = () => mesh.workload('load').proxy ?? ''
  const policyFile = () => join(mesh.folder, 'config/mtls.yaml')
  const callersOf = async (name: string) =>
    (await status(mesh)).find((row) => row.name === name)?.callers ?? []

  test('with no setting every hop is mutual TLS, and each workload has its own certificate', async () => {
    await sendRequests(proxy(), url, 100)
    await eventually(async () => (await callersOf('my-go-service-v2-1')).length > 0)
    const rows = await status(mesh)
    assert.equal(rows.length, 4)
    for (const { name, certificate, callers } of rows) {
      assert.equal(certificate?.spiffeId, 'spiffe://cluster.local/ns/default/sa/default', name)
      const leftMs = Date.parse(certificate.notAfter) - Date.now()
      assert.ok(leftMs > 23 * 3_600_000 && leftMs <= 24 * 3_600_000, `${name}: ${leftMs} ms`)
      assert.deepEqual(
        [...new Set(callers.map(({ lock }) => lock))],
        name === 'load' ? [] : ['mutual TLS'],
      )
    }
    const [caller] = await callersOf('my-go-service-v1')
    assert.equal(caller?.from, 'load')
    assert.equal(caller.principal, 'spiffe://cluster.local/ns/default/sa/default')
    const { out } = await mesh.tulle('status')
    assert.match(out, /not enforced/)
    assert.match(
      out,
      /load +my-go-service-v1 +mutual TLS +\d+ +spiffe:\/\/cluster\.local\/ns\/default/,
    )
  })

  test('a sidecar shows its certificate and whom it believes, and never its key', async () => {
    const { out } = await mesh.tulle('proxy-config', 'secret', 'load')
    assert.match(
      out,
      /default +certificate +ACTIVE +yes +\w+ +spiffe:\/\/cluster\.local\/ns\/default/,
    )
    assert.match(out, /ROOTCA +root +ACTIVE +yes +\w+ +cluster\.local/)
    const json = await mesh.tulle('proxy-config', 'all', 'load', '-o', 'json')
    assert.doesNotMatch(json.out, /private_key/)
  })

  test('plaintext to a mesh port is refused and counted; PERMISSIVE and DISABLE let it in', async () => {
    const { admin: address = '' } = mesh.workload('my-go-service-v1')
    assert.equal(await plaintext(meshPort()), 'refused')
    const { text } = await askAdmin({ address, path: '/stats?filter=plaintext' })
    assert.match(text, /plaintext[-_.]refused\D*[1-9]/)
    const isLetIn = async (): Promise<boolean> => (await plaintext(meshPort())) === 200
    const isRefused = async (): Promise<boolean> => (await plaintext(meshPort())) === 'refused'
    {
      await using traffic = new Traffic(mesh)
      writeFileSync(policyFile(), peerAuthentication('PERMISSIVE'))
      await eventually(isLetIn, { deadlineMs: 10_000 })
      writeFileSync(policyFile(), peerAuthentication('STRICT'))
      await eventually(isRefused, { deadlineMs: 10_000 })
      const { total, failures } = await traffic.end()
      assert.deepEqual([...new Set(failures)], [], `${failures.length} of ${total} failed`)
    }
    // Who calls a port without TLS, or with it, until it has heard of the change fails for that moment.
    writeFileSync(policyFile(), peerAuthentication('DISABLE'))
    await eventually(isLetIn, { deadlineMs: 10_000 })
    await eventually(
      async () =>
        (await callersOf('my-go-service-v1')).some(
          ({ from, lock }) => from === 'load' && lock === 'both',
        ),
      { deadlineMs: 60_000 },
    )
    rmSync(policyFile())
    await eventually(isRefused, { deadlineMs: 10_000 })
  })

  test(
    'a command joins on the same machine without a token, behind our sidecar and behind Envoy',
    {
      skip: skipUnless(envoy, 'Envoy'),
    },
    async () => {
      for (const flags of [[], ['--proxy', 'envoy', '--envoy', envoy ?? '']]) {
        const words = ['run', ...flags, '--', 'curl', '-sf', url]
        const { code, out, error } = await mesh.tulle(...words)
        assert.equal(code, 0, error)
        assert.match(out, /v[12]/)
      }
    },
  )

  test('a join token admits from elsewhere, for what it was made and as often as it says', async () => {
    const file = join(mesh.folder, 'token')
    const grant = ['--service-account', 'shop', '--ttl', '1m', '--uses', '1']
    const made = await mesh.tulle('token', 'create', '-n', 'default', ...grant, '-o', 'json')
    assert.equal(made.code, 0, made.error)
    const { token, status: shown } = JSON.parse(made.out) as {
      token: string
      status: { id: string }
    }
    writeFileSync(file, token, { mode: 0o600 })
    const from = ['--control-plane', mesh.ready.xds, '--token-file', file, '-n', 'default']
    const joinAs = (account: string) =>
      mesh.tulle('run', ...from, '--service-account', account, '--', 'curl', '-sf', url)
    const other = await joinAs('bank')
    assert.notEqual(other.code, 0)
    assert.match(other.error, /other-identity/)
    const first = await joinAs('shop')
    assert.equal(first.code, 0, first.error)
    const second = await joinAs('shop')
    assert.notEqual(second.code, 0)
    assert.match(second.error, /used-up/)
    const { out } = await mesh.tulle('token', 'list', '--all')
    assert.match(out, new RegExp(`${shown.id}.*used-up`))
    assert.doesNotMatch(out, /tulle-1/)
  })

  test('no key and no token stands in any log, dump, answer, argument or environment', async () => {
    const keys = keysBelow(mesh.home)
    assert.ok(keys.length >= 6, `${keys.length} keys were found to look for`)
    const seen = await everythingSaid(mesh)
    assert.ok(seen.size > 20)
    for (const [where, text] of seen) {
      // What is encoded once more is looked for decoded.
      const decoded = [...text.matchAll(/[A-Za-z0-9+/]{200,}={0,2}/g)].map(([match]) =>
        Buffer.from(match, 'base64').toString('latin1'),
      )
      for (const part of [text, ...decoded]) {
        assert.equal(
          keys.some((key) => part.includes(key)),
          false,
          `a key in ${where}`,
        )
        assert.doesNotMatch(part, /PRIVATE KEY/, where)
        assert.doesNotMatch(part, /tulle-1\.[0-9a-f]{12}\./, where)
      }
    }
  })
})

/** The middle of each private key in the state of the mesh: enough to know it again, on one line. */
function keysBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap(({ parentPath, name }) => {
      const text = readFileSync(join(parentPath, name), 'latin1')
      return [...text.matchAll(/PRIVATE KEY-----\n([^-]+)/g)]
    })
    .map(([, base64 = '']) => base64.split('\n')[1] ?? '')
    .filter((line) => line.length > 20)
}

async function everythingSaid(mesh: RunningMesh): Promise<ReadonlyMap<string, string>> {
  const seen = new Map<string, string>()
  seen.set('log', mesh.lines.map((line) => JSON.stringify(line)).join('\n'))
  for (const { name, admin: address } of mesh.ready.workloads) {
    if (address === undefined) continue
    for (const path of [
      '/config_dump?include_eds',
      '/certs',
      '/stats',
      '/server_info',
      '/clusters',
    ]) {
      seen.set(`${name} ${path}`, (await askAdmin({ address, path })).text)
    }
  }
  const group = '/apis/tulle.dev/v1alpha1'
  const paths = ['proxies', 'workloads', 'services', 'issues'].map((plural) => `${group}/${plural}`)
  for (const path of [...paths, '/metrics', '/apis']) {
    seen.set(`API ${path}`, await (await fetch(`${mesh.ready.api}${path}`)).text())
  }
  for (const pid of mesh.processes()) {
    for (const file of ['cmdline', 'environ']) {
      seen.set(`${file} of ${pid}`, readFileSync(`/proc/${pid}/${file}`, 'latin1'))
    }
  }
  for (const words of [['status'], ['token', 'list'], ['ca', 'root', 'list'], ['check']]) {
    const { out, error } = await mesh.tulle(...words, '-o', 'json')
    seen.set(words.join(' '), out + error)
  }
  return seen
}

test(
  'certificates that live 20 s and another root: traffic goes on without one failure',
  { skip },
  async () => {
    const lifetime = '  meshConfig:\n    certificateLifetime: 20s\n'
    await using mesh = await RunningMesh.startChanged((folder) => {
      const file = join(folder, 'mesh-node.yaml')
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^spec:\n/m, `spec:\n${lifetime}`))
    })
    const renewals = () =>
      mesh.lines.filter(({ event, isRenewal }) => event === 'certificate' && isRenewal === true)
        .length
    await using traffic = new Traffic(mesh)
    const ca = async (...words: readonly string[]) => {
      const { out, error, code } = await mesh.tulle('ca', 'root', ...words, '-o', 'json')
      return { data: code === 0 ? (JSON.parse(out) as unknown) : undefined, error }
    }
    const [old] = ((await ca('list')).data as { id: string }[] | undefined) ?? []
    const added = (await ca('add')).data as { id: string }
    for (const words of [
      ['use', added.id],
      ['drop', old?.id ?? ''],
    ]) {
      // Refused as long as somebody has not learnt of it.
      await eventually(async () => (await ca(...words)).data, {
        deadlineMs: 20_000,
        intervalMs: 500,
      })
    }
    const before = renewals()
    await eventually(() => renewals() >= before + 6, { deadlineMs: 30_000 })
    const { total, failures } = await traffic.end()
    assert.deepEqual([...new Set(failures)], [], `${failures.length} of ${total} failed`)
    assert.ok(total > 500, `${total} requests`)
    const roots = (await ca('list')).data as { id: string }[]
    assert.deepEqual(
      roots.map(({ id }) => id),
      [added.id],
    )
  },
)

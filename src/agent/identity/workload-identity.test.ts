/** A workload's certificate from the first to the next, with a real authority and no network. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { IdentityScene } from '../../../test/support/identity-scene.ts'
import { createTestAuthority } from '../../../test/support/test-certificate.ts'
import { readCertificates } from '../../identity/certificate.ts'
import { formatJoinToken, rootHashOf } from '../../identity/join-token.ts'
import { spiffeIdOf } from '../../identity/spiffe-id.ts'
import { TrustBundle } from '../../identity/trust-bundle.ts'
import { silentLog } from '../../lib/log.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { unpack } from '../../xds/any.ts'
import type { CreateCertificateOptions } from '../../xds/ca-client.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { WorkloadPlan } from '../workload-plan.ts'
import { WorkloadIdentity, type IdentityEvent } from './workload-identity.ts'

const secret = 'A'.repeat(43)

class Scene implements AsyncDisposable {
  readonly clock: FakeClock
  readonly authority: IdentityScene
  readonly calls: CreateCertificateOptions[] = []
  readonly events: IdentityEvent[] = []
  readonly #opened: WorkloadIdentity[] = []
  /** What the authority answers instead. */
  failure: MeshError | undefined
  serviceAccount = 'default'
  signAs = 'default'
  tokens = 0

  private constructor(clock: FakeClock, authority: IdentityScene) {
    this.clock = clock
    this.authority = authority
  }

  static async open(): Promise<Scene> {
    const clock = new FakeClock(Date.now())
    const trustDomainAliases = ['old.example']
    const leafLifetimeMs = 3_600_000
    return new Scene(clock, await IdentityScene.open({ clock, leafLifetimeMs, trustDomainAliases }))
  }

  create(moreRootsPem: readonly string[] = []): WorkloadIdentity {
    const identity = {
      moreRootsPem,
      trustDomainAliases: ['old.example'],
      ttlMs: undefined,
      tokenFile: undefined,
      rootsFile: undefined,
      handOver: '/nowhere',
    }
    const plan = {
      mesh: { name: 'm', trustDomain: 'cluster.local' },
      namespace: 'shop',
      serviceAccount: this.serviceAccount,
      stateFolder: join(this.authority.folder, 'state'),
      controlPlane: '127.0.0.1:1',
      identity,
    }
    const opened = new WorkloadIdentity({
      // What else stands in a plan is no concern of an identity.
      plan: plan as unknown as WorkloadPlan,
      identity,
      createCertificate: (request) => this.#answer(request),
      requestToken: () => {
        this.tokens++
        const roots = this.authority.ca.bundle.rootsOf('cluster.local')
        const rootHashes = roots.map(rootHashOf)
        return Promise.resolve(formatJoinToken({ id: 'ab'.repeat(6), secret, rootHashes }))
      },
      clock: this.clock,
      random: () => 0.5,
      log: silentLog,
      onEvent: (event) => this.events.push(event),
    })
    this.#opened.push(opened)
    return opened
  }

  async #answer(request: CreateCertificateOptions): Promise<readonly string[]> {
    this.calls.push(request)
    if (this.failure !== undefined) throw this.failure
    const spiffeId = spiffeIdOf({
      trustDomain: 'cluster.local',
      namespace: 'shop',
      serviceAccount: this.signAs,
    })
    const { csrPem } = request
    return (await this.authority.ca.sign({ csrPem, spiffeId, via: 'test' })).chain
  }

  get folder(): string {
    return join(this.authority.folder, 'state', 'identity')
  }

  closeAll(): void {
    for (const opened of this.#opened) opened[Symbol.dispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closeAll()
    await this.authority[Symbol.asyncDispose]()
  }
}

const unreachable = new MeshError('MESH_CA_UNREACHABLE', 'nobody answers')
const refused = new MeshError('MESH_IDENTITY_REFUSED', 'the token is used up')
const signal = new AbortController().signal

function secretsOf(identity: WorkloadIdentity): ReadonlyMap<string, Secret> {
  const resources = [...identity.secrets.viewOf().resources(typeUrls.secret).values()]
  return new Map(
    resources.map(({ name, any }) => [name, unpack(typeUrls.secret, Secret, Any.decode(any))]),
  )
}

test('the first certificate is got by a token, and kept where only the owner can read', async () => {
  await using scene = await Scene.open()
  const identity = scene.create()
  await identity.start(signal)
  assert.match(scene.calls[0]?.token ?? '', /^tulle-1\./)
  assert.equal(scene.calls[0]?.tls?.certificate, undefined)
  assert.deepEqual(readdirSync(scene.folder).sort(), ['identity.pem', 'root-cert.pem'])
  assert.equal(statSync(scene.folder).mode & 0o777, 0o700)
  for (const name of readdirSync(scene.folder)) {
    assert.equal(statSync(join(scene.folder, name)).mode & 0o777, 0o600, name)
  }
  assert.doesNotMatch(JSON.stringify([scene.events, identity.status()]), /PRIVATE|tulle-1/)
})

test('a restart needs neither token nor authority', async () => {
  await using scene = await Scene.open()
  const first = scene.create()
  await first.start(signal)
  scene.failure = unreachable
  const again = scene.create()
  await again.start(signal)
  assert.equal(scene.calls.length, 1)
  assert.equal(again.status().serial, first.status().serial)
  assert.equal(again.upstreamTls().certificate?.keyPem.includes('PRIVATE KEY'), true)
})

test('what is kept and does not fit any more is not used', async () => {
  await using scene = await Scene.open()
  await scene.create().start(signal)
  writeFileSync(join(scene.folder, 'identity.pem'), 'half a file')
  await scene.create().start(signal)
  assert.equal(scene.calls.length, 2, 'damaged')
  rmSync(join(scene.folder, 'root-cert.pem'))
  await scene.create().start(signal)
  assert.equal(scene.calls.length, 3, 'without roots')
  scene.serviceAccount = 'other'
  scene.signAs = 'other'
  await scene.create().start(signal)
  assert.equal(scene.calls.length, 4, 'of another service account')
  scene.closeAll()
  scene.clock.advance(2 * 3_600_000)
  const expired = scene.create()
  scene.failure = refused
  await assert.rejects(expired.start(signal), refused)
  assert.equal(scene.calls.length, 5, 'expired')
})

test('a certificate for somebody else is refused, whoever signed it', async () => {
  await using scene = await Scene.open()
  scene.signAs = 'other'
  await assert.rejects(scene.create().start(signal), /san-mismatch/)
})

test('an authority that does not answer is waited for, with the same key', async () => {
  await using scene = await Scene.open()
  scene.failure = unreachable
  const identity = scene.create()
  const started = identity.start(signal)
  await eventually(() => scene.events.length === 1)
  scene.failure = undefined
  scene.clock.advance(5_000)
  await started
  const [first, second] = scene.calls
  const keyOf = (request?: CreateCertificateOptions) => {
    const der = Buffer.from(request?.csrPem.split('\n').slice(1, -2).join('') ?? '', 'base64')
    // An uncompressed point on P-256, as a bit string.
    return /034200(04[0-9a-f]{128})/.exec(der.toString('hex'))?.[1]
  }
  assert.ok(keyOf(first))
  assert.equal(keyOf(first), keyOf(second))
  assert.deepEqual(
    scene.events.map(({ event }) => event),
    ['certificate-failed', 'certificate'],
  )
})

test('renewal proves itself by the certificate, makes a new key, and tells the sidecar', async () => {
  await using scene = await Scene.open()
  const identity = scene.create()
  await identity.start(signal)
  const before = secretsOf(identity)
  let told = 0
  using _watch = identity.secrets.onChange(() => told++)
  scene.clock.advance(1_800_000)
  await eventually(() => told === 1)
  assert.equal(scene.tokens, 1)
  assert.equal(scene.calls[1]?.token, undefined)
  assert.match(scene.calls[1]?.tls?.certificate?.keyPem ?? '', /PRIVATE KEY/)
  const after = secretsOf(identity)
  assert.notDeepEqual(before.get('default'), after.get('default'))
  assert.deepEqual(before.get('ROOTCA'), after.get('ROOTCA'), 'the roots are the same')
  const file = readFileSync(join(scene.folder, 'identity.pem'), 'utf8')
  assert.equal(readCertificates(file)[0]?.serialNumber.toLowerCase(), identity.status().serial)
})

test('a certificate that expired while nobody answered is replaced by a token', async () => {
  await using scene = await Scene.open()
  const identity = scene.create()
  await identity.start(signal)
  scene.failure = unreachable
  // The first try makes a key, which takes real time; the later ones have it.
  scene.clock.advance(1_800_000)
  await eventually(() => scene.events.at(-1)?.event === 'certificate-failed')
  for (let step = 0; step < 120; step++) {
    scene.clock.advance(20_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(identity.status().isNearEnd, true)
  assert.match(identity.status().failure ?? '', /nobody answers/)
  const tries = scene.calls.length
  scene.failure = undefined
  scene.clock.advance(60_000)
  await eventually(() => scene.events.at(-1)?.event === 'certificate')
  assert.match(scene.calls[tries]?.token ?? '', /^tulle-1\./)
  assert.equal(identity.status().failure, undefined)
})

function rootsText(identity: WorkloadIdentity): string {
  const roots = secretsOf(identity).get('ROOTCA')?.type
  const config =
    roots?.$case === 'validationContext' ? roots.value.customValidatorConfig : undefined
  return Buffer.from(config?.typedConfig?.value ?? []).toString('latin1')
}

function domainsOf(bundle: TrustBundle) {
  return Object.fromEntries(bundle.trustDomains.map((name) => [name, bundle.rootsOf(name)]))
}

test('a new root comes with the next renewal, which does not wait for its time', async () => {
  await using scene = await Scene.open()
  const identity = scene.create()
  await identity.start(signal)
  identity.onTrust(scene.authority.ca.bundle)
  assert.equal(scene.events.length, 1)
  const added = await scene.authority.ca.addRoot()
  const told = { ...domainsOf(scene.authority.ca.bundle), 'other.example': added.pem }
  identity.onTrust(new TrustBundle(told))
  assert.match(rootsText(identity), /other\.example/, 'believed at once')
  scene.clock.advance(2_000)
  await eventually(() => scene.events.length === 2)
  const text = rootsText(identity)
  assert.equal(
    text.match(/BEGIN CERTIFICATE/g)?.length,
    5,
    'two roots for each of two names, one for the third',
  )
  assert.match(text, /old\.example[^]*other\.example/, 'others stay')
})

test('roots that the configuration names are believed for every name of its own trust domain', async () => {
  await using scene = await Scene.open()
  const { rootPem } = await createTestAuthority()
  const identity = scene.create([rootPem])
  await identity.start(new AbortController().signal)
  const roots = secretsOf(identity).get('ROOTCA')?.type
  assert.ok(roots?.$case === 'validationContext')
  const text = String(roots.value.customValidatorConfig?.typedConfig?.value)
  const [line = ''] = rootPem.trim().split('\n').slice(1)
  assert.equal(text.split(line).length - 1, 2, 'of cluster.local and of old.example')
})

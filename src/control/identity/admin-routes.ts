/** The calls of the owner (api/identity.ts), read strictly and answered by the identity service. */
import type { RootObject, TokenObject } from '../../api/identity.ts'
import type { RootStatus } from '../../identity/certificate-authority.ts'
import { tokenLimits, type TokenStatus } from '../../identity/token-store.ts'
import type { Clock } from '../../lib/clock.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { StreamStatus } from '../../xds/server/stream-status.ts'
import type { AdminRequest, AdminRoute } from './admin-server.ts'
import { findFindings } from './findings.ts'
import type { IdentityService } from './identity-service.ts'
import { dropRoot, useRoot } from './root-change.ts'

export interface AdminRouteOptions {
  readonly service: IdentityService
  readonly streams: () => readonly StreamStatus[]
  readonly plaintextAddress: () => string | undefined
  readonly clock: Clock
}

/** Of the hand-over: as long as a workload takes to start. */
const handOverTtlMs = 60_000
/** Every start of a workload has one: a week of them would fill the list. */
const handOverRememberedMs = 3_600_000

export function createAdminRoutes(
  options: AdminRouteOptions,
): Readonly<Record<string, AdminRoute>> {
  const { service, streams, plaintextAddress, clock } = options
  const { authority, tokens } = service
  const change = { authority, streams, clock }
  return {
    'POST /token': async ({ body }) => {
      const wish = new Fields(body)
      const made = { usesMax: 1, madeBy: 'hand-over', rememberedMs: handOverRememberedMs }
      const granted = { ...wish.grant(), ...made, ttlMs: handOverTtlMs }
      return { token: (await service.createToken(granted)).text }
    },
    'GET /tokens': () => ({ items: tokens.list().map(tokenObject) }),
    'POST /tokens': async ({ body }) => {
      const wish = new Fields(body)
      const created = await service.createToken({
        ...wish.grant(),
        ttlMs: wish.number('ttlSeconds', tokenLimits.ttlMsMax / 1_000) * 1_000,
        usesMax: wish.number('uses', tokenLimits.usesMax),
        madeBy: 'tulle token create',
      })
      return { token: created.text, status: tokenObject(created.status) }
    },
    'DELETE /tokens/:id': async ({ id }) => tokenObject(await tokens.revoke(id)),
    'GET /roots': () => ({ items: authority.roots().map(rootObject) }),
    'POST /roots': async ({ body }) => {
      const folder = new Fields(body).text('folder')
      return rootObject(await authority.addRoot(folder))
    },
    'POST /roots/:id/use': async (call) =>
      rootObject(await useRoot(change, call.id, isForced(call))),
    'DELETE /roots/:id': async (call) =>
      rootObject(await dropRoot(change, call.id, isForced(call))),
    'GET /check': () =>
      findFindings({
        authority,
        tokens: tokens.list(),
        clocks: service.clocks(),
        streams: streams(),
        lastIssuedAtMs: authority.lastIssuedAtMs,
        openKeys: authority.openKeys(),
        plaintextAddress: plaintextAddress(),
        nowMs: clock.nowMs(),
      }),
  }
}

function isForced({ query }: AdminRequest): boolean {
  return query.get('force') === 'true'
}

function tokenObject(status: TokenStatus): TokenObject {
  const { group, createdAtMs, expiresAtMs, lastUsedAtMs, ...rest } = status
  return {
    ...rest,
    ...(group === undefined ? {} : { group }),
    createdAt: new Date(createdAtMs).toISOString(),
    expiresAt: new Date(expiresAtMs).toISOString(),
    ...(lastUsedAtMs === undefined ? {} : { lastUsedAt: new Date(lastUsedAtMs).toISOString() }),
  }
}

function rootObject(status: RootStatus): RootObject {
  const { notAfterMs, signingNotAfterMs, addedAtMs, ...rest } = status
  return {
    ...rest,
    notAfter: new Date(notAfterMs).toISOString(),
    signingNotAfter: new Date(signingNotAfterMs).toISOString(),
    addedAt: new Date(addedAtMs).toISOString(),
  }
}

/** Fields of a body; what is missing or of another type is refused by name. */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(body: unknown) {
    this.#values = typeof body === 'object' && body !== null ? { ...body } : {}
  }

  grant() {
    const [namespace, serviceAccount] = [this.text('namespace'), this.text('serviceAccount')]
    if (namespace === undefined) throw wrong('namespace', 'is missing')
    if (serviceAccount === undefined) throw wrong('serviceAccount', 'is missing')
    return { namespace, serviceAccount, group: this.text('group') }
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value !== 'string') throw wrong(name, 'must be text')
    return value
  }

  number(name: string, max: number): number {
    const value = this.#values[name]
    if (typeof value === 'number' && value > 0 && value <= max) return value
    throw wrong(name, `must be a number above 0 and at most ${max}`)
  }
}

function wrong(name: string, what: string): MeshError {
  return new MeshError('MESH_IDENTITY_REFUSED', `${name}: ${what}`)
}

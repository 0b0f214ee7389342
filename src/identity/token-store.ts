/**
 * Join tokens as the control plane keeps them: whom each admits, how often, until when; of the secret only a hash.
 *
 * A use is taken before the certificate is made, and is on the disk before anybody learns of it, so that a crash
 * never gives a use twice. The same key may come again within `retryMs`, because an answer can be lost: it does not
 * cost another use, and gives nothing to anybody who does not hold that key. What is used up, expired or revoked is
 * remembered for a week (or as long as its maker says), so that a refusal can say why. Bounds: tokens, their lifetime and
 * their uses.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { MeshError } from '../lib/mesh-error.ts'
import { DurableFile, openPrivateFolder, readIfThere } from './durable-file.ts'
import { formatJoinToken, parseJoinToken } from './join-token.ts'

export interface TokenGrant {
  readonly namespace: string
  readonly serviceAccount: string
  /** WorkloadGroup of that namespace: the only one that may be joined. */
  readonly group: string | undefined
}

export interface TokenOptions extends TokenGrant {
  readonly ttlMs: number
  readonly usesMax: number
  /** Of the roots that the mesh believes, the signing one first. */
  readonly rootHashes: readonly string[]
  /** Who asked for it: `tulle token create`, `tulle up`. */
  readonly madeBy: string
  /** How long it is remembered once it is of no use any more; a week unless said otherwise. */
  readonly rememberedMs?: number
}

export type TokenState = 'valid' | 'used-up' | 'expired' | 'revoked'

/** What may be shown of a token. */
export interface TokenStatus extends TokenGrant {
  readonly id: string
  readonly state: TokenState
  readonly usesLeft: number
  readonly usesMax: number
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly lastUsedAtMs: number | undefined
  readonly rootHashes: readonly string[]
  readonly madeBy: string
}

export type TokenRefusal =
  | 'malformed'
  | 'unknown'
  | 'used-up'
  | 'expired'
  | 'revoked'
  /** The holder asks for another identity than the token gives; no use is taken. */
  | 'other-identity'

export interface TokenHolder {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  /** Whether what the token gives is what the holder wants. */
  readonly accepts?: (grant: TokenGrant) => boolean
}

export type Redemption =
  | { readonly ok: true; readonly id: string; readonly grant: TokenGrant }
  | { readonly ok: false; readonly reason: TokenRefusal }

export interface TokenStoreOptions {
  readonly folder: string
  readonly clock: Clock
}

interface StoredToken {
  readonly id: string
  /** SHA-256 of the secret, hex. The secret is 256 random bits: nothing slower is needed. */
  readonly secretHash: string
  readonly grant: {
    readonly namespace: string
    readonly serviceAccount: string
    readonly group?: string
  }
  readonly usesMax: number
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly rootHashes: readonly string[]
  readonly madeBy: string
  readonly rememberedMs?: number
  revokedAtMs?: number
  /** One for each use that was taken: hash of the key that took it. */
  uses: { readonly keyHash: string; readonly atMs: number }[]
}

export const tokenLimits = {
  tokensMax: 10_000,
  usesMax: 10_000,
  /** A week: who needs longer wants a JWT issuer. */
  ttlMsMax: 7 * 86_400_000,
}

const rememberedDefaultMs = 7 * 86_400_000
const retryMs = 600_000
const fileName = 'tokens.json'

/** Rejections: MESH_CA_UNAVAILABLE. One process at a time may have the folder open. */
export function openTokenStore({ folder, clock }: TokenStoreOptions): TokenStore {
  openPrivateFolder(folder)
  const path = join(folder, fileName)
  return new TokenStore(path, clock, parseTokens(readIfThere(path), path))
}

export class TokenStore {
  readonly #clock: Clock
  readonly #tokens: Map<string, StoredToken>
  readonly #file: DurableFile

  /** For `openTokenStore`. */
  constructor(path: string, clock: Clock, tokens: readonly StoredToken[]) {
    this.#clock = clock
    this.#tokens = new Map(tokens.map((token) => [token.id, token]))
    this.#file = new DurableFile(path, () => this.#render())
  }

  /** The text is returned once and kept nowhere. Rejections: MESH_IDENTITY_REFUSED, MESH_CA_UNAVAILABLE. */
  async create(
    options: TokenOptions,
  ): Promise<{ readonly text: string; readonly status: TokenStatus }> {
    checkOptions(options)
    this.#forgetOld()
    if (this.#tokens.size >= tokenLimits.tokensMax) {
      throw refused(`there are ${tokenLimits.tokensMax} tokens, which is the ceiling`)
    }
    const { namespace, serviceAccount, group, ttlMs, usesMax, rootHashes, madeBy } = options
    const { rememberedMs } = options
    const id = randomBytes(6).toString('hex')
    const secret = randomBytes(32).toString('base64url')
    const createdAtMs = this.#clock.nowMs()
    const token: StoredToken = {
      id,
      secretHash: hashOf(secret),
      grant: { namespace, serviceAccount, ...(group === undefined ? {} : { group }) },
      usesMax,
      createdAtMs,
      expiresAtMs: createdAtMs + ttlMs,
      rootHashes,
      madeBy,
      ...(rememberedMs === undefined ? {} : { rememberedMs }),
      uses: [],
    }
    this.#tokens.set(id, token)
    await this.#file.save()
    return { text: formatJoinToken({ id, secret, rootHashes }), status: this.#statusOf(token) }
  }

  /** Newest first. */
  list(): readonly TokenStatus[] {
    return [...this.#tokens.values()].map((token) => this.#statusOf(token)).reverse()
  }

  /** No use of it is given any more. Rejections: MESH_IDENTITY_REFUSED when there is none of that id. */
  async revoke(id: string): Promise<TokenStatus> {
    const token = this.#tokens.get(id)
    if (token === undefined) throw refused(`there is no token ${JSON.stringify(id)}`)
    token.revokedAtMs ??= this.#clock.nowMs()
    await this.#file.save()
    return this.#statusOf(token)
  }

  /** Takes one use for the holder of a key. Rejections: MESH_CA_UNAVAILABLE. */
  async redeem(text: string, { publicKey, accepts }: TokenHolder): Promise<Redemption> {
    const parsed = parseJoinToken(text)
    if (parsed === undefined) return { ok: false, reason: 'malformed' }
    const token = this.#tokens.get(parsed.id)
    // Also for an unknown id, so that time does not tell which ids there are.
    const isRight = isSame(token?.secretHash ?? hashOf(''), hashOf(parsed.secret))
    if (token === undefined || !isRight) return { ok: false, reason: 'unknown' }
    const keyHash = createHash('sha256').update(publicKey).digest('hex')
    const state = this.#stateOf(token)
    const isAgain = this.#isRetry(token, keyHash)
    if (state !== 'valid' && !(state === 'used-up' && isAgain)) return { ok: false, reason: state }
    const { namespace, serviceAccount, group } = token.grant
    const grant = { namespace, serviceAccount, group }
    if (accepts?.(grant) === false) return { ok: false, reason: 'other-identity' }
    if (!isAgain) token.uses = [...token.uses, { keyHash, atMs: this.#clock.nowMs() }]
    // Also when it comes again: the first use may be on its way to the disk still.
    await this.#file.save()
    return { ok: true, id: token.id, grant }
  }

  #isRetry(token: StoredToken, keyHash: string): boolean {
    const nowMs = this.#clock.nowMs()
    return token.uses.some((use) => use.keyHash === keyHash && nowMs - use.atMs < retryMs)
  }

  #stateOf(token: StoredToken): TokenState {
    if (token.revokedAtMs !== undefined) return 'revoked'
    if (this.#clock.nowMs() >= token.expiresAtMs) return 'expired'
    return token.uses.length >= token.usesMax ? 'used-up' : 'valid'
  }

  #statusOf(token: StoredToken): TokenStatus {
    const { id, grant, usesMax, createdAtMs, expiresAtMs, rootHashes, madeBy, uses } = token
    const { namespace, serviceAccount, group } = grant
    return {
      id,
      namespace,
      serviceAccount,
      group,
      state: this.#stateOf(token),
      usesLeft: Math.max(0, usesMax - uses.length),
      usesMax,
      createdAtMs,
      expiresAtMs,
      lastUsedAtMs: uses.at(-1)?.atMs,
      rootHashes,
      madeBy,
    }
  }

  #forgetOld(): void {
    const nowMs = this.#clock.nowMs()
    for (const token of this.#tokens.values()) {
      const { expiresAtMs, rememberedMs = rememberedDefaultMs } = token
      if (nowMs - expiresAtMs > rememberedMs) this.#tokens.delete(token.id)
    }
    for (const token of this.#tokens.values()) {
      if (this.#tokens.size < tokenLimits.tokensMax) break
      if (this.#stateOf(token) !== 'valid') this.#tokens.delete(token.id)
    }
  }

  #render(): string {
    return `${JSON.stringify({ version: 1, tokens: [...this.#tokens.values()] })}\n`
  }
}

function checkOptions({ ttlMs, usesMax }: TokenOptions): void {
  if (!(ttlMs > 0 && ttlMs <= tokenLimits.ttlMsMax)) {
    throw refused(`a token lives from 1 second to 7 days, got ${ttlMs / 1_000} seconds`)
  }
  if (!Number.isInteger(usesMax) || usesMax < 1 || usesMax > tokenLimits.usesMax) {
    throw refused(`a token has 1 to ${tokenLimits.usesMax} uses, got ${usesMax}`)
  }
}

function parseTokens(text: string | undefined, path: string): readonly StoredToken[] {
  if (text === undefined) return []
  try {
    const stored = JSON.parse(text) as { version?: number; tokens?: StoredToken[] }
    if (stored.version === 1 && Array.isArray(stored.tokens)) return stored.tokens
  } catch {
    // Said below; the cause would quote the file.
  }
  throw new MeshError('MESH_CA_UNAVAILABLE', `${path} is damaged`, {
    remedy: 'remove it: all tokens are void then, and new ones can be made',
  })
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

function refused(message: string): MeshError {
  return new MeshError('MESH_IDENTITY_REFUSED', message, { remedy: 'see tulle token list' })
}

/**
 * The text of a join token: `tulle-1.<id>.<secret>.<root hash>[.<root hash>]`.
 *
 * The hashes say which control plane to believe at the first call, when the joining host knows no root yet: they
 * are SHA-256 of the mesh's roots. The token is a secret; nothing here prints it.
 */
import { createHash, type X509Certificate } from 'node:crypto'

import { MeshError } from '../lib/mesh-error.ts'

export interface JoinToken {
  readonly id: string
  readonly secret: string
  /** Base64url of SHA-256 of the root's DER. */
  readonly rootHashes: readonly string[]
}

const shape = /^tulle-1\.([0-9a-f]{12})\.([\w-]{43})((?:\.[\w-]{43}){1,8})$/

/** What a token in a header or a file looks like, before anything is known of it. */
export function isJoinToken(text: string): boolean {
  return text.startsWith('tulle-')
}

/** Undefined for anything else. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const [, id, secret, hashes] = shape.exec(text.trim()) ?? []
  if (id === undefined || secret === undefined || hashes === undefined) return undefined
  return { id, secret, rootHashes: hashes.slice(1).split('.') }
}

/** For a token that a person gave. Throws MESH_IDENTITY_REFUSED; the message never holds the token. */
export function requireJoinToken(text: string): JoinToken {
  const token = parseJoinToken(text)
  if (token !== undefined) return token
  throw new MeshError('MESH_IDENTITY_REFUSED', 'the join token does not have the form of one', {
    remedy: 'make one with tulle token create, and pass on the whole line',
  })
}

export function formatJoinToken({ id, secret, rootHashes }: JoinToken): string {
  return ['tulle-1', id, secret, ...rootHashes].join('.')
}

export function rootHashOf(root: X509Certificate): string {
  return createHash('sha256').update(root.raw).digest('base64url')
}

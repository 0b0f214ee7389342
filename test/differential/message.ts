/** One request as somebody has read it, and who reads: what two readers must agree on. */
import { createHash } from 'node:crypto'

export interface ReadMessage {
  readonly method: string
  readonly target: string
  readonly host: string
  readonly bodyBytes: number
  /** Short hash of the body; absent where the reader does not keep bodies. */
  readonly bodyHash?: string
}

export interface Reading {
  readonly messages: readonly ReadMessage[]
  /** What the reader answered instead of reading on. */
  readonly refused?: string
}

export interface ExternalReader {
  readonly name: string
  read(bytes: Buffer): Promise<Reading>
  [Symbol.asyncDispose](): Promise<void>
}

export function hashOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16)
}

export function messageText(message: ReadMessage): string {
  return `${message.method} ${message.target} ${message.host} [${message.bodyBytes}]`
}

/** One request as somebody has read it: what two readers must agree on. */
import { createHash } from 'node:crypto'

export interface ReadMessage {
  readonly method: string
  readonly target: string
  readonly host: string
  readonly bodyBytes: number
  /** Short hash of the body; absent where the reader does not keep bodies. */
  readonly bodyHash?: string
}

export function hashOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16)
}

export function messageText(message: ReadMessage): string {
  return `${message.method} ${message.target} ${message.host} [${message.bodyBytes}]`
}

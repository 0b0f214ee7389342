/** A reply of our own before it is sealed (exchange-reply.ts): what routes and listeners may still change. */
import type { ResponseHead } from './http/message.ts'
import type { RequestRecord } from './telemetry/request-record.ts'

export interface OpenReply {
  readonly head: ResponseHead
  text: string | Uint8Array
  /** Of the text, where no header says another one. */
  contentType: string
  /** The text is another one: its type is written whatever the headers say. */
  isRetyped: boolean
  /** For a gRPC client, which sees 200. */
  grpcStatus: number | undefined
  /** Whether that status is of its own, and not what the HTTP status means. */
  readonly hasOwnGrpcStatus: boolean
}

/** Changes a reply in place (Envoy `local_reply_config`). */
export type ReplyRewrite = (reply: OpenReply, record: RequestRecord) => void

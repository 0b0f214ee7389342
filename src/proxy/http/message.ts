/**
 * A request and a response as both codecs (HTTP/1.1 now, HTTP/2 beside it) give them to the exchange.
 * Pseudo headers are fields of their own; `HeaderList` holds the rest, without hop-by-hop fields of the
 * connection that the message came on (RFC 9110 §7.6.1).
 */
import type { HeaderList } from './header-list.ts'

/** How much body follows a head: none, a stated length in bytes, or until its end is signalled. */
export type BodyLength = number | 'until-end'

export type HttpProtocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2'

export interface RequestHead {
  /** Case-sensitive, as received (RFC 9110 §9.1). */
  method: string
  /** Origin form with its query, after the listener's normalization: what is matched is what is forwarded. */
  path: string
  /** Host of the target, lower case, with the port if one was given. Empty only for HTTP/1.0. */
  authority: string
  scheme: 'http' | 'https'
  /** The target says the scheme itself (HTTP/1.1, absolute form). */
  hasScheme?: boolean
  protocol: HttpProtocol
  headers: HeaderList
  /** 0 means no body. */
  bodyLength: BodyLength
  /** Protocol that `Connection: upgrade` asked for, lower case, or undefined. */
  upgrade: string | undefined
  /** The same as the client spelt it; absent: in lower case. */
  upgradeSpelling?: string
  /** Whether the client asked for the connection to end after this exchange. */
  wantsClose: boolean
  /** What a filter has made gRPC of; absent: nothing. */
  translatedFrom?: 'grpc-web'
}

/** As the next hop is asked for it. */
export function spelledUpgrade({ upgrade, upgradeSpelling }: RequestHead): string {
  return upgradeSpelling ?? upgrade ?? ''
}

export interface ResponseHead {
  status: number
  headers: HeaderList
  bodyLength: BodyLength
  protocol: HttpProtocol
}

/** What each side of a connection tells of itself (RFC 9113 §6.5), and the options that decide what we tell. */
import { defaultWindowBytes, errorCodes, windowBytesMax, type ErrorCode } from './frame.ts'

/** Envoy `core.Http2ProtocolOptions`, compiled. */
export interface Http2Options {
  readonly hpackTableBytes: number
  /** Streams that the peer may open; of a connection to an upstream: those that we open. */
  readonly concurrentStreamsMax: number
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  /** Extended CONNECT (RFC 8441). */
  readonly allowsConnect: boolean
  /** Frames that wait for the peer to read, of all kinds, and PING, SETTINGS and RST_STREAM among them. */
  readonly outboundFramesMax: number
  readonly outboundControlFramesMax: number
  readonly emptyFramesMax: number
  readonly priorityFramesPerStreamMax: number
  readonly windowUpdatesPerDataFrameMax: number
  /** Whether a malformed message ends its stream only; else its connection (§8.1.1 allows both). */
  readonly endsStreamOnInvalidMessage: boolean
  readonly keepalive: KeepaliveOptions | undefined
}

/** Envoy `core.KeepaliveSettings`. */
export interface KeepaliveOptions {
  /** 0: none but those after idle time. */
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly jitterPercent: number
  /** A connection that was silent for so long is asked before it is used again; 0: never. */
  readonly idleMs: number
}

/**
 * Envoy's defaults but for the windows: what a paused stream may still be sent has to be kept, and Envoy's 16 MiB a
 * stream would be its own limit of a connection's buffer sixteen times over.
 */
export const defaultHttp2Options: Http2Options = {
  hpackTableBytes: 4096,
  concurrentStreamsMax: 1024,
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
  allowsConnect: false,
  outboundFramesMax: 10_000,
  outboundControlFramesMax: 1000,
  emptyFramesMax: 1,
  priorityFramesPerStreamMax: 100,
  windowUpdatesPerDataFrameMax: 10,
  endsStreamOnInvalidMessage: false,
  keepalive: undefined,
}

const settingIds = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const

export type Settings = readonly (readonly [id: number, value: number])[]

export function serverSettings(options: Http2Options, headBytesMax: number): Settings {
  return [
    [settingIds.headerTableSize, options.hpackTableBytes],
    [settingIds.maxConcurrentStreams, options.concurrentStreamsMax],
    [settingIds.initialWindowSize, options.streamWindowBytes],
    [settingIds.maxHeaderListSize, headBytesMax],
    ...(options.allowsConnect ? [[settingIds.enableConnectProtocol, 1] as const] : []),
  ]
}

export function clientSettings(options: Http2Options, headBytesMax: number): Settings {
  return [
    [settingIds.headerTableSize, options.hpackTableBytes],
    [settingIds.enablePush, 0],
    [settingIds.initialWindowSize, options.streamWindowBytes],
    [settingIds.maxHeaderListSize, headBytesMax],
  ]
}

/** What the peer has told; the values of RFC 9113 until then. */
export class PeerSettings {
  headerTableBytes = 4096
  concurrentStreamsMax = Infinity
  streamWindowBytes = defaultWindowBytes
  allowsConnect = false
  /** Whether its first frame has come. */
  isKnown = false

  /** Reads a SETTINGS frame; what is wrong with it ends the connection. */
  apply(payload: Buffer, fromServer: boolean): ErrorCode | undefined {
    if (payload.length % 6 !== 0) return errorCodes.frameSizeError
    this.isKnown = true
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2)
      const problem = this.#set(payload.readUInt16BE(at), value, fromServer)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  #set(id: number, value: number, fromServer: boolean): ErrorCode | undefined {
    switch (id) {
      case settingIds.headerTableSize:
        this.headerTableBytes = value
        return undefined
      case settingIds.enablePush:
        return value > (fromServer ? 0 : 1) ? errorCodes.protocolError : undefined
      case settingIds.maxConcurrentStreams:
        this.concurrentStreamsMax = value
        return undefined
      case settingIds.initialWindowSize:
        if (value > windowBytesMax) return errorCodes.flowControlError
        this.streamWindowBytes = value
        return undefined
      case settingIds.maxFrameSize:
        return isFrameSize(value) ? undefined : errorCodes.protocolError
      case settingIds.enableConnectProtocol:
        if (value > 1) return errorCodes.protocolError
        this.allowsConnect = value === 1
        return undefined
      default:
        return undefined
    }
  }
}

/** Larger frames than the least would only keep other streams waiting, so we never send them. */
function isFrameSize(value: number): boolean {
  return value >= 16_384 && value <= 16_777_215
}

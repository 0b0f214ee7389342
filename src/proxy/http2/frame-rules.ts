/**
 * What a frame must be whatever the state of its connection is (RFC 9113 §6): its size, and whether it names a stream. And
 * where in its stream DATA may come (§8.1).
 */
import type { Frame } from './frame-reader.ts'
import { errorCodes, frameFlags, frameTypes, type ErrorCode } from './frame.ts'
import type { Http2Stream } from './stream.ts'

export interface FrameProblem {
  readonly code: ErrorCode
  readonly reason: string
}

interface FrameRule {
  readonly name: string
  readonly onStream: 'always' | 'never' | 'either'
  readonly isSize: (bytes: number, flags: number) => boolean
}

const rules: Readonly<Record<number, FrameRule>> = {
  [frameTypes.priority]: { name: 'PRIORITY', onStream: 'always', isSize: (bytes) => bytes === 5 },
  [frameTypes.rstStream]: {
    name: 'RST_STREAM',
    onStream: 'always',
    isSize: (bytes) => bytes === 4,
  },
  [frameTypes.settings]: {
    name: 'SETTINGS',
    onStream: 'never',
    isSize: (bytes, flags) => (flags & frameFlags.ack) === 0 || bytes === 0,
  },
  [frameTypes.ping]: { name: 'PING', onStream: 'never', isSize: (bytes) => bytes === 8 },
  [frameTypes.goaway]: { name: 'GOAWAY', onStream: 'never', isSize: (bytes) => bytes >= 8 },
  [frameTypes.windowUpdate]: {
    name: 'WINDOW_UPDATE',
    onStream: 'either',
    isSize: (bytes) => bytes === 4,
  },
}

/** Undefined: nothing is wrong with it by itself. */
export function frameProblem(frame: Frame, payload: Buffer): FrameProblem | undefined {
  const { type, flags, streamId } = frame
  if (type === frameTypes.pushPromise) {
    return { code: errorCodes.protocolError, reason: 'PUSH_PROMISE, which was not allowed' }
  }
  const rule = rules[type]
  if (rule === undefined) return undefined
  const { name, onStream, isSize } = rule
  if (onStream === 'always' && streamId === 0) {
    return { code: errorCodes.protocolError, reason: `${name} without a stream` }
  }
  if (onStream === 'never' && streamId !== 0) {
    return { code: errorCodes.protocolError, reason: `${name} on a stream` }
  }
  if (!isSize(payload.length, flags)) {
    return { code: errorCodes.frameSizeError, reason: `${name} of a bad size` }
  }
  const dependsOnItself =
    type === frameTypes.priority && (payload.readUInt32BE(0) & 0x7fff_ffff) === streamId
  return dependsOnItself
    ? { code: errorCodes.protocolError, reason: 'a stream that depends on itself' }
    : undefined
}

const behindEnd: FrameProblem = {
  code: errorCodes.streamClosed,
  reason: 'DATA behind the end of the stream',
}
const beforeHead: FrameProblem = {
  code: errorCodes.protocolError,
  reason: 'DATA before the head of the response',
}

export function dataProblem(
  stream: Pick<Http2Stream, 'isRemoteEnded' | 'awaitsHead'>,
): FrameProblem | undefined {
  if (stream.isRemoteEnded) return behindEnd
  return stream.awaitsHead ? beforeHead : undefined
}

/**
 * The internals of Node that a handle wire stands on: libuv's stream handles as Node wraps them, found on public sockets,
 * and the request objects that their writes need.
 *
 * None of this is documented, and any release may change it. So it is used on the one version that it was proved on
 * (which package.json installs), only when every part that is used has the expected shape, and only after
 * handle-check.ts has sent bytes through it. docs/decisions has the risk.
 */
import type { Server, Socket } from 'node:net'

/** The version that the contract suite and the soak test ran on. */
export const provenNodeVersion = 'v26.10.0'

/** Node's `TCP` or `Pipe`: every method returns 0 or a negative errno, but where said. */
export interface StreamHandle {
  readonly writeQueueSize: number
  /** Told of each read by the length in `state[readIndex]`: bytes in the user buffer, or a negative errno. */
  onread: (this: StreamHandle) => undefined
  /** Reads go to the start of `buffer`, which the caller must keep alive. */
  useUserBuffer(buffer: Buffer): void
  readStart(): number
  readStop(): number
  writeLatin1String(request: WriteRequest, text: string): number
  /** The caller keeps `buffer` alive, and unchanged, until `oncomplete` where the write became asynchronous. */
  writeBuffer(request: WriteRequest, buffer: Buffer): number
  /** Pairs of data and encoding; `isAllBuffers` means that there are no encodings. The buffers as above. */
  writev(request: WriteRequest, chunks: readonly unknown[], isAllBuffers: boolean): number
  shutdown(request: ShutdownRequest): number
  close(done: () => void): void
  /** Closes with RST in place of FIN; of TCP only. */
  reset?(done: () => void): number
  /** Of TCP only, as the next two. */
  setNoDelay?(isOn: boolean): number
  getsockname?(into: EndNames): number
  getpeername?(into: EndNames): number
  /** Ours. */
  wire?: HandleReader
}

/** What Node writes an end of a connection into. */
export interface EndNames {
  address?: string
  port?: number
}

export interface HandleReader {
  onRead(lengthOrError: number): void
}

export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void
  /** Ours, of a write that became asynchronous. */
  wire?: { onWritten(request: WriteRequest, status: number): void }
  lent?: Buffer | undefined
}

export interface ShutdownRequest {
  oncomplete: () => void
}

export interface HandleInternals {
  readonly WriteWrap: new () => WriteRequest
  readonly ShutdownWrap: new () => ShutdownRequest
  /** Where Node leaves the results of a call that has several. */
  readonly state: Int32Array
  readonly readIndex: number
  readonly isAsyncIndex: number
}

/** The internals, or why they are not used. */
export function findHandleInternals(version: string = process.version): HandleInternals | string {
  if (version !== provenNodeVersion) {
    return `Node is ${version}, and handles were proved on ${provenNodeVersion}`
  }
  const found = streamBinding()
  if (found === undefined) return 'Node has no stream binding'
  const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = found
  if (typeof WriteWrap !== 'function' || typeof ShutdownWrap !== 'function') {
    return 'the stream binding has no requests'
  }
  if (!(streamBaseState instanceof Int32Array)) return 'the stream binding has no state'
  if (typeof kReadBytesOrError !== 'number' || typeof kLastWriteWasAsync !== 'number') {
    return 'the state of the stream binding has no fields'
  }
  return {
    // Constructors whose instances handle-check.ts tries out.
    WriteWrap: WriteWrap as HandleInternals['WriteWrap'],
    ShutdownWrap: ShutdownWrap as HandleInternals['ShutdownWrap'],
    state: streamBaseState,
    readIndex: kReadBytesOrError,
    isAsyncIndex: kLastWriteWasAsync,
  }
}

function streamBinding(): Record<string, unknown> | undefined {
  // Node lists this binding among those that packages of old may ask for; its types do not.
  const { binding } = process as unknown as { binding?: (name: string) => unknown }
  try {
    return binding?.call(process, 'stream_wrap') as Record<string, unknown> | undefined
  } catch {
    // A build or a permission without it: the caller says that there is none.
    return undefined
  }
}

const methods = [
  'useUserBuffer',
  'readStart',
  'readStop',
  'writeLatin1String',
  'writeBuffer',
  'writev',
  'shutdown',
  'close',
] as const

/**
 * Takes the handle out of a connected socket from which nothing was read, stopped. The socket is an empty shell then,
 * closed without touching the connection. Undefined leaves the socket as it was.
 */
export function detachHandle(socket: Socket): StreamHandle | undefined {
  const shell = socket as unknown as { _handle: StreamHandle | null }
  const handle = shell._handle
  if (handle === null || handle === undefined || socket.readableLength !== 0) return undefined
  if (methods.some((name) => typeof handle[name] !== 'function')) return undefined
  handle.readStop()
  shell._handle = null
  forgetOwner(handle)
  socket.destroy()
  return handle
}

/** Node refers from the handle to its socket, which would keep the shell in memory. */
function forgetOwner(handle: StreamHandle): void {
  for (const key of Object.getOwnPropertySymbols(handle)) {
    if (key.description === 'owner_symbol') {
      ;(handle as unknown as Record<symbol, unknown>)[key] = null // the symbol that was found on it
    }
  }
}

type OnConnection = (this: unknown, status: number, handle: StreamHandle | undefined) => void

/**
 * Offers each TCP connection of a listening server to `take` as libuv hands it over, before Node makes a socket of it; one
 * that is not taken becomes a socket as ever. A server whose handle looks otherwise is left as it was.
 */
export function interceptConnections(
  server: Server,
  take: (handle: StreamHandle) => boolean,
): void {
  const { _handle: listening } = server as unknown as {
    _handle?: { onconnection?: OnConnection } | null
  }
  const makeSocket = listening?.onconnection
  if (listening === null || listening === undefined || typeof makeSocket !== 'function') return
  listening.onconnection = function onConnection(status, handle) {
    const isOffered = status === 0 && handle !== undefined && isTcpHandle(handle)
    if (!isOffered || !take(handle)) makeSocket.call(this, status, handle)
  }
}

function isTcpHandle(handle: StreamHandle): boolean {
  return (
    tcpMethods.every((name) => typeof handle[name] === 'function') &&
    methods.every((name) => typeof handle[name] === 'function')
  )
}

const tcpMethods = ['setNoDelay', 'getsockname', 'getpeername'] as const

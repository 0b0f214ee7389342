/**
 * Descriptors from one process to another that is not its child, over a Unix socket (SCM_RIGHTS, unix(7)), which Node has
 * no call for: `sendmsg` and `recvmsg` through node:ffi.
 *
 * A message is a record of fixed length, JSON and spaces, so that what belongs to one descriptor can never be read
 * together with what belongs to the next. Receiving blocks, for a few milliseconds in a process that does nothing else
 * yet, and never longer than the time-out. Linux on 64 bits, whose structures these are.
 */
import { endianness } from 'node:os'

import { MeshError, describeError } from '../../lib/mesh-error.ts'

export interface PassedRecord {
  readonly text: string
  readonly descriptor: number | undefined
}

export interface DescriptorPassing {
  /**
   * Sends on a connected Unix socket that nothing waits to be written on, a record whole or not at all. False: not, since
   * the other side has to read what it has first (or is gone).
   */
  send(socket: number, record: PassedRecord): boolean
  /** Connects; -1 when nobody listens there. `timeoutMs` holds for each call of `receive`. */
  connect(path: string, timeoutMs: number): number
  /** The next record; undefined at the end, or after the time-out. Its descriptor is closed when a program is executed. */
  receive(socket: number): PassedRecord | undefined
  close(descriptor: number): void
}

const recordBytes = 1_024

/** A record without a descriptor, for whoever has no `send`. */
export function recordOf(text: string): Buffer {
  const payload = Buffer.alloc(recordBytes, ' ')
  payload.write(text)
  return payload
}

const unixFamily = 1
const streamType = 1
const closeOnExec = 0o2000000
const socketLevel = 1
const receiveTimeout = 20
const rights = 1
/** Wait for the whole record; close-on-exec for what comes with it. */
const receiveFlags = 0x100 | 0x40000000
const noSignal = 0x4000
const pathBytesMax = 107

/** Rejects with MESH_NOT_IMPLEMENTED where Node or the platform cannot do it. */
export async function openDescriptorPassing(): Promise<DescriptorPassing> {
  try {
    if (process.platform !== 'linux') throw new Error(`the platform is ${process.platform}`)
    if (!['x64', 'arm64'].includes(process.arch) || endianness() !== 'LE') {
      throw new Error(`the processor is ${process.arch}`)
    }
    return await loadCalls()
  } catch (cause) {
    throw new MeshError(
      'MESH_NOT_IMPLEMENTED',
      `taking over from another sidecar needs node:ffi, on Linux: ${describeError(cause)}`,
      {
        cause,
        remedy:
          'end the old sidecar and start the new one, or use the Node that the package installs',
      },
    )
  }
}

async function loadCalls(): Promise<DescriptorPassing> {
  const { dlopen, getRawPointer } = await import('node:ffi')
  const message = ['int32', 'pointer', 'int32'] as const
  const { functions } = dlopen(null, {
    sendmsg: { return: 'int64', arguments: [...message] },
    recvmsg: { return: 'int64', arguments: [...message] },
    socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
    connect: { return: 'int32', arguments: ['int32', 'pointer', 'uint32'] },
    setsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'] },
    close: { return: 'int32', arguments: ['int32'] },
  })
  const envelope = (payload: Buffer): Envelope => createEnvelope(payload, getRawPointer)
  return {
    send(socket, { text, descriptor }) {
      if (Buffer.byteLength(text) > recordBytes) throw tooLong(text)
      const payload = recordOf(text)
      const { header, control } = envelope(payload)
      if (descriptor === undefined) header.writeBigUInt64LE(0n, controlLengthAt)
      else control.writeInt32LE(descriptor, descriptorAt)
      return Number(functions.sendmsg(socket, header, noSignal)) === recordBytes
    },
    connect(path, timeoutMs) {
      if (Buffer.byteLength(path) > pathBytesMax) throw tooLong(path)
      const socket = functions.socket(unixFamily, streamType | closeOnExec, 0)
      const address = Buffer.alloc(2 + pathBytesMax + 1)
      address.writeUInt16LE(unixFamily, 0)
      address.write(path, 2)
      const timeout = Buffer.alloc(16)
      timeout.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1_000)), 0)
      timeout.writeBigInt64LE(BigInt((timeoutMs % 1_000) * 1_000), 8)
      functions.setsockopt(socket, socketLevel, receiveTimeout, timeout, timeout.length)
      if (functions.connect(socket, address, address.length) === 0) return socket
      functions.close(socket)
      return -1
    },
    receive(socket) {
      const payload = Buffer.alloc(recordBytes)
      const { header, control } = envelope(payload)
      const length = Number(functions.recvmsg(socket, header, receiveFlags))
      if (length !== recordBytes) return undefined
      const hasDescriptor = header.readBigUInt64LE(controlLengthAt) >= BigInt(controlBytes - 4)
      const descriptor = hasDescriptor ? control.readInt32LE(descriptorAt) : undefined
      return { text: payload.toString().trimEnd(), descriptor }
    },
    close(descriptor) {
      functions.close(descriptor)
    },
  }
}

interface Envelope {
  /** struct msghdr */
  readonly header: Buffer
  /** struct cmsghdr with one descriptor */
  readonly control: Buffer
  readonly parts: Buffer
}

const controlBytes = 24
const controlLengthAt = 40
const descriptorAt = 16

function createEnvelope(payload: Buffer, pointerOf: (buffer: Buffer) => bigint): Envelope {
  const control = Buffer.alloc(controlBytes)
  control.writeBigUInt64LE(BigInt(descriptorAt + 4), 0)
  control.writeInt32LE(socketLevel, 8)
  control.writeInt32LE(rights, 12)
  control.writeInt32LE(-1, descriptorAt)
  // One struct iovec.
  const parts = Buffer.alloc(16)
  parts.writeBigUInt64LE(pointerOf(payload), 0)
  parts.writeBigUInt64LE(BigInt(payload.length), 8)
  const header = Buffer.alloc(56)
  header.writeBigUInt64LE(pointerOf(parts), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(pointerOf(control), 32)
  header.writeBigUInt64LE(BigInt(controlBytes), controlLengthAt)
  return { header, control, parts }
}

function tooLong(text: string): Error {
  return new Error(`too long to be sent to another process: ${text.slice(0, 80)}`)
}

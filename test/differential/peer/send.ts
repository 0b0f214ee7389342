/** Sends bytes to a proxy over a socket, and takes what comes until it is silent. */
import { connect } from 'node:net'

export interface SentOutcome {
  readonly received: Buffer
  readonly isClosed: boolean
}

export interface Patience {
  /** Without a byte after one has come. */
  readonly quietMs: number
  /** Without any byte at all. */
  readonly firstMs: number
}

/** As long as a proxy that answers at all needs for it, on a machine that is busy. */
export const patient: Patience = { quietMs: 150, firstMs: 600 }

export function sendTo(
  port: number,
  bytes: Buffer,
  patience: Patience = patient,
): Promise<SentOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const chunks: Buffer[] = []
    let timer: NodeJS.Timeout | undefined
    const finish = (isClosed: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ received: Buffer.concat(chunks), isClosed })
    }
    const wait = (delayMs: number): void => {
      clearTimeout(timer)
      timer = setTimeout(() => finish(false), delayMs)
    }
    socket.on('connect', () => {
      socket.write(bytes)
      wait(patience.firstMs)
    })
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      wait(patience.quietMs)
    })
    socket.on('end', () => finish(true))
    socket.on('close', () => finish(true))
    socket.on('error', () => finish(true))
  })
}

/** Whether somebody is behind a Unix socket: the file alone outlives a process that was killed. */
import { connect } from 'node:net'

/** True also of one that listens and does not answer. */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const finish = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.once('connect', () => finish(true))
    // No such file, or nobody behind it.
    socket.once('error', () => finish(false))
  })
}

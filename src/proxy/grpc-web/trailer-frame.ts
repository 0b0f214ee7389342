/**
 * Trailers as the last frame of a gRPC-Web body (PROTOCOL-WEB of gRPC): a head whose first bit is set, then
 * `name:value` lines, each with its CRLF.
 */
import type { HeaderList } from '../http/header-list.ts'

const trailerFlag = 0x80

export function trailerFrame({ fields }: HeaderList): Buffer {
  let text = ''
  for (let index = 0; index < fields.length; index += 2) {
    text += `${fields[index]}:${fields[index + 1]}\r\n`
  }
  const frame = Buffer.allocUnsafe(5 + text.length)
  frame[0] = trailerFlag
  frame.writeUInt32BE(text.length, 1)
  frame.write(text, 5, 'latin1')
  return frame
}

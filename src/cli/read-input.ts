/** Standard input, for commands that take `-` as a file: YAML that another program prints. */
import { usageError } from './command.ts'

/** Bytes; as much as a file may have. */
export const inputBytesMax = 4 << 20

/** Resolves at the end of the stream. Rejections: MESH_USAGE beyond `inputBytesMax`. */
export async function readInput(input: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input) {
    bytes += chunk.length
    if (bytes > inputBytesMax) {
      throw usageError(`standard input has more than ${inputBytesMax} bytes`, 'write it to files')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

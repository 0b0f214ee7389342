/** Standard input, for commands that take `-` as a file: YAML that another program prints. */
import { usageError } from './command.ts'

/** Bytes; as much as a file may have. */
export const inputBytesMax = 4 << 20

/** Resolves at the end of the stream. Rejections: MESH_USAGE beyond `inputBytesMax`, and of what is no UTF-8. */
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
  return decoded(Buffer.concat(chunks))
}

function decoded(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw usageError('standard input is not UTF-8', 'write it as UTF-8 text')
  }
}

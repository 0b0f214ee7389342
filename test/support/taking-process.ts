/** A process of its own that takes over from whoever offers itself at a path, and confirms when it is told to. */
import { once } from 'node:events'

import { describeError } from '../../src/lib/mesh-error.ts'
import { takeOver } from '../../src/proxy/take-over/take-over.ts'

const [, , path = ''] = process.argv
const taken = await takeOver({ path, version: 'test' })
process.stdout.write(`has ${[...(taken?.sockets.keys() ?? [])].join()}\n`)
await once(process.stdin, 'data')
try {
  await taken?.confirm()
  process.stdout.write('done\n')
} catch (error) {
  process.stdout.write(`${describeError(error)}\n`)
}
process.exit()

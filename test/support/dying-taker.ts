/** Stands where `tulle sidecar` does in an upgrade: takes over, and dies before it says that it is live. */
import { takeOver } from '../../src/proxy/take-over/take-over.ts'

const path = process.argv[process.argv.indexOf('--take-over') + 1] ?? ''
const taken = await takeOver({ path, version: 'test' })
await taken?.confirm()
process.exit(3)

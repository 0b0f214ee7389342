/** A process of its own that opens an authority and signs without pause; tests kill it. */
import { createCsr, createWorkloadKey } from '../../src/identity/key-and-csr.ts'
import { spiffeIdOf } from '../../src/identity/spiffe-id.ts'
import { openCa } from './identity-scene.ts'

const [, , folder = ''] = process.argv
const spiffeId = spiffeIdOf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'b' })
const { key } = await createWorkloadKey()
const csrPem = createCsr(key, spiffeId)
await using ca = await openCa({ folder })
const signForEver = async () => {
  for (;;) {
    const { serial } = await ca.sign({ csrPem, spiffeId, via: 'test' })
    process.stdout.write(`${serial}\n`)
  }
}
await Promise.all(Array.from({ length: 8 }, signForEver))

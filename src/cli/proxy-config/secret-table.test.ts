/** Secrets of a sidecar as its dump has them, and never a key. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { IdentityScene } from '../../../test/support/identity-scene.ts'
import { parseConfigDump } from './config-dump.ts'
import { leftText, secretRows } from './secret-table.ts'

const inline = (pem: string) => ({ inline_bytes: Buffer.from(pem).toString('base64') })

test('a certificate and the roots of each trust domain are rows, and the key is nowhere', async () => {
  await using scene = await IdentityScene.open()
  const workload = await scene.workload('shop/cart')
  const [root] = scene.ca.roots()
  const dump = {
    configs: [
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump',
        dynamic_active_secrets: [
          {
            name: 'default',
            secret: {
              tls_certificate: {
                certificate_chain: inline(workload.chainPem),
                private_key: inline(workload.keyPem),
              },
            },
          },
          {
            name: 'ROOTCA',
            secret: {
              validation_context: {
                custom_validator_config: {
                  typed_config: {
                    trust_domains: [
                      { name: 'cluster.local', trust_bundle: inline(root?.pem ?? '') },
                    ],
                  },
                },
              },
            },
          },
        ],
        dynamic_warming_secrets: [{ name: 'other' }],
      },
    ],
  }
  const { secrets = [] } = parseConfigDump(dump)
  assert.doesNotMatch(JSON.stringify(secrets), /private_key/)
  const rows = secretRows(secrets, Date.now())
  assert.deepEqual(
    rows.map(({ name, type, status, valid, identity }) => [name, type, status, valid, identity]),
    [
      ['default', 'certificate', 'ACTIVE', true, 'spiffe://cluster.local/ns/shop/sa/cart'],
      ['ROOTCA', 'root', 'ACTIVE', true, 'cluster.local'],
      ['other', 'certificate', 'WARMING', false, ''],
    ],
  )
  assert.equal(rows[0]?.serial, workload.signed.serial)
  const late = secretRows(secrets, workload.signed.notAfterMs)
  assert.deepEqual(
    late.map(({ valid }) => valid),
    [false, true, false],
  )
})

test('what is left is said in the unit that matters', () => {
  const left = [-1, 12_300, 600_000, 86_000_000, 400 * 86_400_000].map(leftText)
  assert.deepEqual(left, ['expired', '12s', '10m', '23.9h', '400d'])
})

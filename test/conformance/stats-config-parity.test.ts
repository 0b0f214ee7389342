/** `stats_config`: a real Envoy and Tulle show the same statistics of the same bootstrap, under the same tags. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { findEnvoy, skipUnless } from '../support/programs.ts'
import { openEnvoy, openTulle } from './parity/open-proxy.ts'

const envoy = findEnvoy()

/** One cluster with a name in two parts, and what is said of statistics. */
function bootstrap(statsConfig: object): string {
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } }
  return JSON.stringify({
    admin: { address },
    stats_config: statsConfig,
    static_resources: {
      clusters: [
        {
          name: 'a',
          alt_stat_name: 'shop_reviews',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'a',
            endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
          },
        },
      ],
    },
  })
}

/** By Envoy and by Tulle, what a page of the admin interface says. */
async function ask(statsConfig: object, path: string): Promise<readonly [string, string]> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-stats-config-'))
  try {
    const file = join(folder, 'bootstrap.json')
    writeFileSync(file, bootstrap(statsConfig))
    await using theirs = await openEnvoy({ envoy: envoy ?? '', file, folder, listeners: 0 })
    await using ours = await openTulle(file)
    return [await theirs.admin(path), await ours.admin(path)]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Names of statistics that both have when nothing is said. */
async function common(): Promise<ReadonlySet<string>> {
  const [theirs, ours] = (await ask({}, '/stats')).map(namesIn)
  return new Set([...(theirs ?? [])].filter((name) => ours?.has(name)))
}

function namesIn(text: string): Set<string> {
  return new Set([...text.matchAll(/^([^:\n]+): /gm)].map(([, name = '']) => name))
}

const prefix = (value: string) => ({ prefix: value })

for (const [what, matcher, least] of [
  ['a prefix', { inclusion_list: { patterns: [prefix('cluster.shop')] } }, 5],
  ['a suffix', { inclusion_list: { patterns: [{ suffix: '_total' }] } }, 1],
  [
    'an expression that is all of a name',
    { inclusion_list: { patterns: [{ safe_regex: { regex: 'cluster\\..*_total' } }] } },
    1,
  ],
  [
    'an expression that is a part of a name',
    { inclusion_list: { patterns: [{ safe_regex: { regex: 'shop' } }] } },
    0,
  ],
  ['an exclusion', { exclusion_list: { patterns: [prefix('cluster.shop')] } }, 1],
  ['everything', { reject_all: true }, 0],
] as const) {
  test(
    `${what} of ${Object.keys(matcher)[0] ?? ''} leaves the same names`,
    { skip: skipUnless(envoy, 'envoy') },
    async () => {
      const known = await common()
      const both = await ask({ stats_matcher: matcher }, '/stats')
      const [theirs = [], ours = []] = both.map((text) =>
        [...namesIn(text)].filter((name) => known.has(name)).sort(),
      )
      assert.deepEqual(ours, theirs)
      assert.ok(ours.length >= least, String(ours.length))
      assert.ok(ours.length < known.size)
    },
  )
}

test(
  'tags of a fixed value and tags that are taken from a name are labels of both',
  { skip: skipUnless(envoy, 'envoy') },
  async () => {
    const tags = [
      { tag_name: 'mesh', fixed_value: 'one' },
      { tag_name: 'what', regex: '(_(healthy|degraded))$' },
    ]
    const both = await ask({ stats_tags: tags }, '/stats/prometheus')
    const [theirs, ours] = both.map((text) =>
      text
        .split('\n')
        .filter((line) => /^envoy_cluster_membership(_total)?\{/.test(line))
        .map((line) => line.replace(/\{(.*)\}/, (_, labels: string) => labelsSorted(labels)))
        .sort(),
    )
    assert.deepEqual(ours, theirs)
    assert.equal(theirs?.length, 3)
  },
)

function labelsSorted(labels: string): string {
  return `{${labels.split(',').sort().join(',')}}`
}

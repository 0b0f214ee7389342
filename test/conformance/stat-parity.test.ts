/** Statistics: a real Envoy and Tulle count the same of the same requests, by the same names. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'

import { statScene, statsOf } from './parity/stat-scene.ts'
import { compareScene } from './parity/scene.ts'

compareScene(statScene, (runs) => {
  test('counters and gauges', () => {
    const envoy = statsOf(runs.envoy.admin)
    const tulle = statsOf(runs.tulle.admin)
    const lines: string[] = []
    for (const [name, value] of envoy) if (value !== (tulle.get(name) ?? 0)) lines.push(`${name} E=${value} T=${tulle.get(name)}`)
    for (const [name, value] of tulle) if (!envoy.has(name)) lines.push(`${name} only T=${value}`)
    writeFileSync('/work/scratch/parity/stats.txt', lines.join('\n'))
    writeFileSync('/work/scratch/parity/stats-envoy.txt', runs.envoy.admin)
    writeFileSync('/work/scratch/parity/stats-missing.txt', [...envoy].filter(([n]) => !tulle.has(n)).map(([n,v]) => `${n} ${v}`).join('\n'))
    assert.equal(lines.length, 0)
  })
})

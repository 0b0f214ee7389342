/**
 * kill -9 of a control plane, an agent, a sidecar or an application, at random moments, under load, while configuration is
 * written, tokens are made and faults are added: each time the mesh comes back by itself, and what was confirmed before
 * is still there.
 *
 * `TULLE_CRASH_ROUNDS=50 TULLE_CRASH_SEED=7` makes it longer and other.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { seededRandom } from '../../src/lib/random.ts'
import { eventually } from '../support/eventually.ts'
import { Load } from '../support/load-client.ts'
import { isRunning } from '../support/process-table.ts'
import { RunningMesh, sendRequests } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const rounds = Number(process.env['TULLE_CRASH_ROUNDS'] ?? 4)
const seed = Number(process.env['TULLE_CRASH_SEED'] ?? 1)
const names = ['load', 'my-go-service-v1', 'my-go-service-v2-1', 'my-go-service-v2-2']
const deadlineMs = 30_000

type Victim = 'control-plane' | 'agent' | 'sidecar' | 'application'

/** In turn, so that a short run has them all; the workload and the moment are drawn. */
const victims: readonly Victim[] = ['control-plane', 'agent', 'sidecar', 'application']

interface Item {
  readonly metadata: { readonly name: string }
  readonly status: Readonly<Record<string, unknown>>
}

class Scene {
  readonly mesh: RunningMesh
  readonly tokens = new Set<string>()
  roots = ''
  weight = 90

  constructor(mesh: RunningMesh) {
    this.mesh = mesh
  }

  async items(page: 'workloads' | 'proxies'): Promise<readonly Item[]> {
    const text = await this.mesh.read('control-plane', `/apis/tulle.dev/v1alpha1/${page}`)
    return (JSON.parse(text) as { items: Item[] }).items
  }

  async json(...words: readonly string[]): Promise<unknown> {
    const { code, out, error } = await this.mesh.tulle(...words, '-o', 'json')
    assert.equal(code, 0, `${words.join(' ')}: ${out}${error}`)
    return JSON.parse(out)
  }

  /** What a person does while something dies; only what was confirmed is expected to be there. */
  async work(): Promise<void> {
    this.weight = this.weight === 90 ? 50 : 90
    const file = join(this.mesh.folder, 'config/my-go-service.yaml')
    const text = readFileSync(file, 'utf8')
    const weights = [this.weight, 100 - this.weight]
    writeFileSync(
      file,
      text.replaceAll(/weight: \d+/g, () => `weight: ${weights.shift() ?? 0}`),
    )
    const made = await this.mesh.tulle('token', 'create', '-o', 'json')
    if (made.code === 0) {
      this.tokens.add((JSON.parse(made.out) as { status: { id: string } }).status.id)
    }
  }

  pidOf(victim: Victim, workload: string): number | undefined {
    if (victim === 'control-plane') return this.mesh.controlPlanePid()
    if (victim === 'sidecar') {
      return this.mesh.processes().find((pid) => {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        return words.includes('sidecar') && words.some((word) => word.includes(`/${workload}/`))
      })
    }
    const started = this.mesh.events('application-started').toReversed()
    const application = Number(started.find((line) => line['workload'] === workload)?.['pid'])
    if (victim === 'application') return application
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${application}/status`, 'utf8'))
    return Number(parent?.[1])
  }

  async isGood(): Promise<boolean> {
    const workloads = await this.items('workloads')
    const well = new Map(
      workloads.map(({ metadata, status }) => [
        metadata.name,
        `${String(status['health'])} ${String(status['presence'])}`,
      ]),
    )
    if (names.some((name) => well.get(name) !== 'healthy connected')) return false
    const proxies = await this.items('proxies')
    const types = proxies.flatMap(
      ({ status }) => status['types'] as readonly { readonly status: string }[],
    )
    return proxies.length === names.length && types.every(({ status }) => status === 'SYNCED')
  }

  async check(): Promise<void> {
    await eventually(() => this.isGood().catch(() => false), { deadlineMs })
    await eventually(
      async () => {
        const { code, out, error } = await this.mesh.tulle('status')
        assert.equal(code, 0, out + error)
        return this.isGood()
      },
      { deadlineMs },
    )
    // Every sidecar has the weights that were written last.
    await eventually(
      async () => {
        const dump = await this.mesh.read({ admin: 'load' }, '/config_dump')
        return new RegExp(`"weight": ?${this.weight}\\b`).test(dump)
      },
      { deadlineMs },
    )
    const { failures } = await sendRequests(this.mesh.proxyOf('load'), url, 40)
    assert.deepEqual(failures, [])
    const roots = JSON.stringify(await this.json('ca', 'root', 'list'))
    this.roots ||= roots
    assert.equal(roots, this.roots)
    const tokens = (await this.json('token', 'list')) as readonly { id: string; state: string }[]
    const known = new Map(tokens.map(({ id, state }) => [id, state]))
    for (const id of this.tokens) assert.equal(known.get(id), 'valid', `token ${id}`)
    const faults = JSON.stringify(await this.json('fault', 'list'))
    assert.match(faults, /"kept"/)
  }
}

suite(`kill -9 at random moments (seed ${seed})`, { skip }, () => {
  test(`${rounds} times: the mesh comes back by itself, and nothing is lost`, async () => {
    const random = seededRandom(seed)
    await using mesh = await RunningMesh.startChanged((folder) => {
      const file = join(folder, 'mesh-node.yaml')
      const text = readFileSync(file, 'utf8')
      writeFileSync(file, text.replace('spec:\n', 'spec:\n  meshConfig:\n    onDemand: ON\n'))
    })
    const scene = new Scene(mesh)
    await scene.json(
      'fault',
      'add',
      'my-go-service',
      '--delay',
      '1ms',
      '--name',
      'kept',
      '-H',
      'x-never:1',
    )
    await scene.check()
    await using load = new Load({ proxy: mesh.proxyOf('load'), url, connections: 4, pauseMs: 4 })
    for (let round = 0; round < rounds; round += 1) {
      const victim = victims[round % victims.length] ?? 'agent'
      const workload = names[Math.floor(random() * names.length)] ?? 'load'
      if (victim === 'sidecar') {
        const { code, error } = await mesh.tulle('upgrade', workload)
        assert.equal(code, 0, error)
      }
      const atMs = performance.now() + random() * 700
      const work = scene.work()
      await eventually(() => performance.now() > atMs)
      const pid = scene.pidOf(victim, workload)
      assert.ok(pid !== undefined && isRunning(pid), `round ${round}: ${victim} of ${workload}`)
      process.kill(pid, 'SIGKILL')
      const killedAtMs = performance.now()
      await work
      try {
        await scene.check()
      } catch (cause) {
        throw new Error(`round ${round}: ${victim} of ${workload}`, { cause })
      }
      assert.deepEqual(load.owedFor(5_000), [], `round ${round}: an answer is owed`)
      if (process.env['TULLE_CRASH_ROUNDS'] !== undefined) {
        const backMs = Math.round(performance.now() - killedAtMs)
        process.stderr.write(`round ${round}: ${victim} of ${workload}, good after ${backMs} ms\n`)
      }
    }
    await load.stop()
    assert.ok(load.answers.length > rounds * 10)
    const before = mesh.processes()
    assert.equal(await mesh.stop('SIGINT'), 0)
    await eventually(() => !before.some(isRunning), { deadlineMs: 10_000 })
  })
})

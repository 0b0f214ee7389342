/** Runs one bootstrap in a real Envoy and then in Tulle, asks both the same, and makes a test of each request. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../../support/eventually.ts'
import { freePort } from '../../support/free-port.ts'
import { findEnvoy, skipUnless } from '../../support/programs.ts'
import {
  type Answer,
  differences,
  inParallel,
  logEntries,
  requestBytes,
  toAnswer,
} from './answer.ts'
import type { ParityCase } from './case-table.ts'
import { type OpenProxy, openEnvoy, openTulle } from './open-proxy.ts'
import { type Upstream, openUpstream } from './upstream.ts'
import { type WireResponse, sendBytes } from './wire-client.ts'

/** What a bootstrap is made with. */
export interface ScenePorts {
  readonly a: number
  readonly b: number
  /** Nobody listens there. */
  readonly refused: number
  readonly log: string
}

export interface Scene {
  readonly title: string
  readonly listeners: number
  readonly cases: readonly ParityCase[]
  /** Text of the bootstrap file, YAML or JSON. */
  readonly bootstrap: (ports: ScenePorts) => string
  /** One request after the other, in order: for what is counted. */
  readonly isInOrder?: boolean
  /** Hides what is time or chance in an entry of the access log. */
  readonly maskLog?: (entry: unknown) => unknown
  /** Asked of the admin interface when all is answered. */
  readonly adminPath?: string
  /** Whether the log is whole, where its entries do not name their cases. */
  readonly isLogged?: (log: string) => boolean
}

/** What a run leaves besides its answers. */
export interface SceneRun {
  readonly answers: Map<string, Answer>
  admin: string
  /** The access log as it was written. */
  log: string
}

export interface SceneRuns {
  readonly envoy: SceneRun
  readonly tulle: SceneRun
}

/** `more` adds tests about what the runs left. */
export function compareScene(scene: Scene, more?: (runs: SceneRuns) => void): void {
  const envoy = findEnvoy()
  describe(scene.title, { skip: skipUnless(envoy, 'envoy') }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-scene-'))
    const runs: SceneRuns = { envoy: newRun(), tulle: newRun() }
    let upstreams: readonly Upstream[] = []

    before(async () => {
      upstreams = [await openUpstream('a'), await openUpstream('b')]
      const file = join(folder, 'bootstrap.yaml')
      const log = join(folder, 'access.log')
      const [a = 0, b = 0] = upstreams.map(({ port }) => port)
      writeFileSync(file, scene.bootstrap({ a, b, refused: await freePort(), log }))
      const options = { file, folder, envoy: envoy ?? '', listeners: scene.listeners }
      const stage = { scene, log, upstreams }
      const ask = async (one: Stage): Promise<void> => {
        await answerAll(one, () => openEnvoy(options), runs.envoy)
        await answerAll(one, () => openTulle(file), runs.tulle)
      }
      await ask(stage)
      if (scene.isInOrder === true) return
      // A difference that a request alone does not show was one of the machine's load.
      const unlike = differing(scene.cases, runs)
      if (unlike.length === 0 || unlike.length > unlikeMax) return
      const kept = { envoy: runs.envoy.log, tulle: runs.tulle.log }
      await ask({ ...stage, scene: { ...scene, cases: unlike, isInOrder: true } })
      runs.envoy.log = kept.envoy
      runs.tulle.log = kept.tulle
    })

    after(async () => {
      for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    })

    for (const one of scene.cases) {
      test(one.name, () => {
        const expected = runs.envoy.answers.get(one.name)
        const actual = runs.tulle.answers.get(one.name)
        assert.ok(expected)
        assert.ok(actual)
        assert.deepEqual(differences(one, expected, actual), [])
      })
    }

    more?.(runs)
  })
}

/** More than that is no accident. */
const unlikeMax = 8

function differing(cases: readonly ParityCase[], { envoy, tulle }: SceneRuns): ParityCase[] {
  return cases.filter((one) => {
    const expected = envoy.answers.get(one.name)
    const actual = tulle.answers.get(one.name)
    return (
      expected !== undefined &&
      actual !== undefined &&
      differences(one, expected, actual).length > 0
    )
  })
}

interface Stage {
  readonly scene: Scene
  readonly log: string
  readonly upstreams: readonly Upstream[]
}

async function answerAll(
  stage: Stage,
  open: () => Promise<OpenProxy>,
  run: SceneRun,
): Promise<void> {
  const { scene, log, upstreams } = stage
  const { cases } = scene
  writeFileSync(log, '')
  for (const upstream of upstreams) upstream.reset()
  const responses = new Map<string, WireResponse>()
  {
    await using proxy = await open()
    const ask = async (one: ParityCase): Promise<void> => {
      const port = proxy.ports.get(one.listener ?? 'main') ?? 0
      // Some hosts name the listener's own port.
      const bytes = (one.raw ?? requestBytes(one)).replaceAll('PORT', String(port))
      const response = await sendBytes({ port, bytes, isHead: one.method === 'HEAD' })
      const body = response.body.replaceAll(String(port), 'PORT')
      responses.set(one.name, { ...response, body })
    }
    if (scene.isInOrder === true) for (const one of cases) await ask(one)
    else await inParallel(cases, ask)
    const isLogged = (): boolean =>
      scene.isLogged?.(readFileSync(log, 'utf8')) ?? logEntries(log, cases).size === cases.length
    const deadlineMs = scene.isLogged === undefined ? 3_000 : 20_000
    await eventually(isLogged, { deadlineMs }).catch(() => undefined)
    run.admin = await proxy.admin(scene.adminPath ?? '/ready')
  }
  const entries = logEntries(log, cases)
  run.log = readFileSync(log, 'utf8')
  for (const one of cases) {
    const response = responses.get(one.name)
    assert.ok(response)
    const entry = entries.get(one.name)
    run.answers.set(one.name, toAnswer(response, scene.maskLog?.(entry) ?? entry))
  }
}

function newRun(): SceneRun {
  return { answers: new Map(), admin: '', log: '' }
}

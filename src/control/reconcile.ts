/**
 * The reconcile loop: brings registry and translation to what the sources and the joined workloads say.
 *
 * Wakes are coalesced: while a run is under way any number of changes leads to one more run, on the newest
 * state. This loop is the control plane's only place that catches: a run that fails is logged and counted, the
 * last good state stays in force, and the next change tries again.
 */
import type { Log } from '../lib/log.ts'
import { describeError } from '../lib/mesh-error.ts'
import type { Resource } from '../model/resource.ts'
import type { Registry } from '../registry/registry.ts'
import type { Source, SourceSnapshot } from '../store/source.ts'
import type { Translation } from '../translate/driver.ts'
import {
  meshSettingsOf,
  meshSettingsOfSpec,
  type MeshSettings,
  type TranslationInput,
} from '../translate/input.ts'
import { meshOf } from './config-source.ts'
import type { FaultStore } from './fault/fault-store.ts'

export interface ReconcileOptions {
  readonly source: Source
  readonly registry: Registry
  readonly faults: FaultStore
  readonly log: Log
  readonly onResult: (result: 'ok' | 'failed') => void
}

type InputParts = Pick<ReconcileOptions, 'source' | 'registry' | 'faults'>

/** Input of the translation, with everything that did not change the same by identity. */
export class InputBuilder {
  #snapshot: SourceSnapshot | undefined
  #resources: ReadonlyMap<string, Resource> = new Map()
  #mesh: MeshSettings = meshSettingsOf()
  #meshResource: Resource | undefined

  build({ source, registry, faults }: InputParts): TranslationInput {
    const snapshot = source.list()
    if (snapshot !== this.#snapshot) {
      this.#snapshot = snapshot
      registry.setResources(snapshot.resources)
      this.#resources = new Map(
        [...snapshot.resources].map(([key, { resource }]) => [key, resource]),
      )
      const mesh = meshOf(snapshot)
      if (mesh !== this.#meshResource) this.#mesh = meshSettingsOfSpec(mesh?.spec)
      this.#meshResource = mesh
    }
    registry.flush()
    return {
      resources: this.#resources,
      registry: registry.snapshot,
      mesh: this.#mesh,
      faults: faults.injected(),
    }
  }
}

export class ReconcileLoop implements AsyncDisposable {
  readonly #options: ReconcileOptions
  readonly #inputs: InputBuilder
  readonly #translation: Translation
  readonly #watches: readonly Disposable[]
  #running: Promise<void> | undefined
  #isDue = false
  #isClosed = false

  constructor(options: ReconcileOptions, inputs: InputBuilder, translation: Translation) {
    this.#options = options
    this.#inputs = inputs
    this.#translation = translation
    const { source, registry, faults } = options
    this.#watches = [
      source.watch(() => this.wake()),
      registry.onChange(() => this.wake()),
      faults.onChange(() => this.wake()),
    ]
  }

  wake(): void {
    this.#isDue = true
    if (this.#isClosed) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const watch of this.#watches) watch[Symbol.dispose]()
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#isDue && !this.#isClosed) {
      // In a turn of its own: whoever woke us has done work in this one.
      await new Promise((resolve) => setImmediate(resolve))
      this.#isDue = false
      const { log, onResult } = this.#options
      try {
        await this.#translation.update(this.#inputs.build(this.#options))
        onResult('ok')
      } catch (error) {
        log.error({ error: describeError(error) }, 'reconcile failed; the last good state stays')
        onResult('failed')
      }
    }
  }
}

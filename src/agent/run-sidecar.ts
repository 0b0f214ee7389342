/** The proxy alone in this process: open until told to end, then drained. */
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'
import { openSidecar } from '../proxy/sidecar.ts'
import type { WireKind } from '../proxy/wire/choose-wire.ts'

export interface RunSidecarOptions {
  readonly bootstrap: { readonly file: string; readonly text: string }
  readonly concurrency: number
  /** Envoy's `--drain-time-s`; undefined: five seconds for the end, Envoy's own default for listeners that go. */
  readonly drainTimeS: number | undefined
  readonly drainStrategy: 'gradual' | 'immediate'
  readonly wire: WireKind
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Unix socket at which sidecars follow each other. */
  readonly takeOverPath?: string
  readonly version: string
  /** It serves, and has taken over where there was something to take over. */
  readonly onLive?: () => void
  /** The next one has taken over, and nothing is accepted here any more. */
  readonly onReplaced?: () => void
  /** Aborted: drain and end. */
  readonly signal: AbortSignal
}

const endDrainTimeS = 5

/** Resolves when it has ended. Rejections: MESH_BOOTSTRAP_INVALID, MESH_LISTEN_FAILED, MESH_NOT_IMPLEMENTED. */
export async function runSidecar(options: RunSidecarOptions): Promise<void> {
  const { signal, drainTimeS, onLive, onReplaced, ...rest } = options
  const drainTime = drainTimeS === undefined ? {} : { drainTimeMs: drainTimeS * 1_000 }
  const ended = Promise.withResolvers<void>()
  const sidecar = await openSidecar({
    ...rest,
    ...drainTime,
    onQuit: () => ended.resolve(),
    onReplaced: (retired) => {
      onReplaced?.()
      void retired.then(() => ended.resolve())
    },
  })
  signal.addEventListener('abort', () => ended.resolve())
  if (signal.aborted) ended.resolve()
  try {
    await Promise.race([sidecar.ready, ended.promise])
    onLive?.()
    await ended.promise
    if (signal.aborted) await sidecar.drain((drainTimeS ?? endDrainTimeS) * 1_000)
  } finally {
    await sidecar.close()
  }
}

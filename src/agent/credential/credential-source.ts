/**
 * Credentials that the sidecar has asked for, read from the workload's folder and looked at again every `lookMs`: what
 * has changed is pushed, what has become unusable is told and the last good one stays. Nobody else is given them, and
 * they are kept nowhere but in memory; a credential that nobody asks for is not read.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import {
  typeUrls,
  type EncodedResource,
  type ResourceView,
  type ViewSource,
  viewOfType,
} from '../../xds/resource-set.ts'
import {
  credentialScheme,
  filesOf,
  readCredential,
  type CredentialFile,
  type CredentialReading,
} from './read-credential.ts'

export interface CredentialStatus {
  /** Of the secret, as the sidecar asks for it. */
  readonly name: string
  readonly state: CredentialReading['state']
  /** Why it cannot be used. */
  readonly reason: string | undefined
  /** Whether the one before it is still in use. */
  readonly isOlderUsed: boolean
  readonly warnings: readonly string[]
}

export interface CredentialSourceOptions {
  /** Undefined: the workload was given none. */
  readonly folder: string | undefined
  /** Names of secrets that the sidecar has asked for. */
  readonly asked: () => Iterable<string>
  readonly clock: Clock
  readonly log: Log
}

interface Entry {
  readonly mark: string
  readonly reading: CredentialReading
  /** The last good one. */
  readonly secret: EncodedResource | undefined
}

const lookMs = 500
/** Credentials of one sidecar; more are told as missing. */
const credentialsMax = 1_024

export class CredentialSource implements ViewSource, Disposable {
  readonly #options: CredentialSourceOptions
  readonly #listeners = new Set<() => void>()
  #entries: ReadonlyMap<string, Entry> = new Map()
  #view: ResourceView = viewOf(new Map())
  #timer: Timer | undefined

  constructor(options: CredentialSourceOptions) {
    this.#options = options
    this.#arm()
  }

  status(): readonly CredentialStatus[] {
    return [...this.#entries].map(([name, { reading, secret }]) => ({
      name,
      state: reading.state,
      reason: reading.state === 'good' ? undefined : reading.reason,
      isOlderUsed: reading.state !== 'good' && secret !== undefined,
      warnings: reading.state === 'good' ? reading.warnings : [],
    }))
  }

  viewOf(): ResourceView {
    return this.#view
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** Reads what has been asked for and has changed. */
  look(): void {
    const asked = [...this.#options.asked()].filter((name) => name.startsWith(credentialScheme))
    const names = [...new Set(asked)].slice(0, credentialsMax).sort()
    const before = this.#entries
    const entries = new Map(names.map((name) => [name, this.#entryOf(name, before.get(name))]))
    const isSame =
      entries.size === before.size &&
      [...entries].every(([name, entry]) => before.get(name) === entry)
    if (isSame) return
    this.#entries = entries
    const secrets = new Map(
      [...entries].flatMap(([name, { secret }]) =>
        secret === undefined ? [] : [[name, secret] as const],
      ),
    )
    const view = viewOf(secrets)
    if (view.revision === this.#view.revision) return
    this.#view = view
    for (const listener of this.#listeners) listener()
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel()
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimer(lookMs, () => {
      this.look()
      this.#arm()
    })
  }

  /** The same object while its files are the same. */
  #entryOf(name: string, before: Entry | undefined): Entry {
    const { folder, clock } = this.#options
    const files = folder === undefined ? [] : filesOf(folder, name)
    const mark = files.map(markOf).join(' ')
    if (before?.mark === mark) return before
    const reading =
      folder === undefined
        ? noFolder
        : readCredential({ folder, secretName: name, files, nowMs: clock.nowMs() })
    this.#tell(name, reading)
    // A sidecar keeps what it has; so do we, for one that starts anew while files are being replaced.
    const secret = reading.state === 'good' ? reading.secret : before?.secret
    return { mark, reading, secret }
  }

  #tell(name: string, reading: CredentialReading): void {
    const { log } = this.#options
    if (reading.state !== 'good') {
      log.warn({ credential: name, reason: reading.reason }, 'a credential cannot be used')
      return
    }
    log.info({ credential: name }, 'credential in use')
    for (const warning of reading.warnings) log.warn({ credential: name }, warning)
  }
}

const noFolder: CredentialReading = {
  state: 'missing',
  reason:
    'the workload has no credentials: give their folder with tulle run --credentials DIR, or credentials in the mesh file',
}

function markOf({ path, stats }: CredentialFile): string {
  const { ino, size, mtimeMs, ctimeMs } = stats
  return [path, ino, size, mtimeMs, ctimeMs].join(':')
}

function viewOf(secrets: ReadonlyMap<string, EncodedResource>): ResourceView {
  const revision = [...secrets.values()].map(({ name, version }) => `${name}=${version}`).join(' ')
  return viewOfType(typeUrls.secret, { revision, resources: secrets })
}

/**
 * Follows what is wrong in the configuration of a running mesh, so that `tulle up` can say it the moment that a
 * file is saved. Each issue is told once for as long as it lasts. While the mesh is starting, one is told only
 * if it lasts: a subset has no endpoints before its workloads have joined.
 */
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'

import type { WatchEvent } from '../../api/object.ts'
import { viewPath, type IssueObject } from '../../api/view.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Issue } from '../../model/issue.ts'

export interface IssueWatchOptions {
  /** `http://127.0.0.1:15014` */
  readonly api: string
  readonly clock: Clock
  readonly onIssue: (issue: Issue) => void
  readonly onSolved: (issue: Issue) => void
}

export interface IssueWatch extends Disposable {
  /** Set when the mesh has started: from then on an issue is told at once. */
  isSettled: boolean
}

/** The control plane may be starting again. */
const retryMs = 500
const startingMs = 3_000

export function watchIssues(options: IssueWatchOptions): IssueWatch {
  return new Watch(options)
}

class Watch implements IssueWatch {
  readonly #options: IssueWatchOptions
  readonly #abort = new AbortController()
  readonly #told = new Map<string, Issue>()
  readonly #waiting = new Map<string, Timer>()
  isSettled = false

  constructor(options: IssueWatchOptions) {
    this.#options = options
    void this.#run()
  }

  [Symbol.dispose](): void {
    this.#abort.abort()
    for (const timer of this.#waiting.values()) timer.cancel()
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    while (!this.#abort.signal.aborted) {
      try {
        await this.#follow()
      } catch {
        // The control plane is away; its end is told by whoever runs it.
      }
      await new Promise<void>((resolve) => clock.setTimer(retryMs, resolve))
    }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    const url = `${this.#options.api}${viewPath('issues')}?watch=true`
    const response = await fetch(url, { signal })
    if (response.body === null || !response.ok) return
    for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
      // Written by our own control plane.
      const { type, object } = JSON.parse(line) as WatchEvent<IssueObject>
      if (type === 'ADDED') this.#onAdded(object)
      if (type === 'DELETED') this.#onDeleted(object)
    }
  }

  #onAdded({ metadata: { name }, issue }: IssueObject): void {
    if (this.#told.has(name) || this.#waiting.has(name)) return
    const { clock, onIssue } = this.#options
    const tell = () => {
      this.#waiting.delete(name)
      this.#told.set(name, issue)
      onIssue(issue)
    }
    if (this.isSettled) tell()
    else this.#waiting.set(name, clock.setTimer(startingMs, tell))
  }

  #onDeleted({ metadata: { name }, issue }: IssueObject): void {
    this.#waiting.get(name)?.cancel()
    this.#waiting.delete(name)
    if (this.#told.delete(name)) this.#options.onSolved(issue)
  }
}

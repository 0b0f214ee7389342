/**
 * The retries of one exchange: which hosts were tried, what the policy and the breaker say, and the wait before
 * the next attempt. Made only for requests that have a policy.
 */
import type { Timer } from '../lib/clock.ts'
import { addFlag } from './exchange-record.ts'
import type { Failure } from './failure.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import { decideRetry, isOrdinary } from './resilience/decide-retry.ts'
import { retryWait } from './resilience/retry-backoff.ts'
import type { AttemptOutcome, RetryPolicy } from './resilience/retry-policy.ts'
import { TriedPriorities } from './resilience/tried-priorities.ts'
import type { ForwardAction } from './route/route-table.ts'
import type { ProxyRuntime } from './runtime.ts'
import { grpcStatusOf } from './telemetry/grpc-status.ts'
import type { RequestRecord } from './telemetry/request-record.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { Host } from './upstream/host.ts'

/** `overflow`: the policy says retry and the breaker has no room. */
export type RetryVerdict = 'retry' | 'give-up' | 'limit-exceeded' | 'overflow'

export class RetryState {
  readonly #policy: RetryPolicy
  readonly #cluster: Cluster
  readonly #runtime: Pick<ProxyRuntime, 'clock' | 'random' | 'turn'>
  readonly #tried: Host[] = []
  readonly #priorities: TriedPriorities | undefined
  #timer: Timer | undefined
  #holdsUnit = false
  /** What the last attempt brought would be tried again, if it could. */
  isUnwanted = false

  constructor(
    policy: RetryPolicy,
    cluster: Cluster,
    runtime: Pick<ProxyRuntime, 'clock' | 'random' | 'turn'>,
  ) {
    this.#policy = policy
    this.#cluster = cluster
    this.#runtime = runtime
    const { prioritiesUpdateEvery } = policy
    if (prioritiesUpdateEvery !== undefined) {
      this.#priorities = new TriedPriorities(prioritiesUpdateEvery)
    }
  }

  /** Hosts that the next attempt should not go to. */
  get avoid(): readonly Host[] {
    return this.#policy.avoidPreviousHosts ? this.#tried : noHosts
  }

  get avoidAttemptsMax(): number {
    return this.#tried.length === 0 ? 0 : this.#policy.hostSelectionAttemptsMax
  }

  addTried(host: Host): void {
    this.#tried.push(host)
    this.#priorities?.add(host)
  }

  /** Priorities that the next attempt should not go to. */
  leftOut(): Set<number> | undefined {
    return this.#priorities?.leftOut()
  }

  /** Whether a response is beyond all question. */
  isOrdinary(head: ResponseHead): boolean {
    return isOrdinary(this.#policy, head)
  }

  /** Decides, counts, flags, and takes a place in the retry breaker when the answer is `retry`. */
  decide(outcome: AttemptOutcome, record: RequestRecord): RetryVerdict {
    this.release()
    const decision = decideRetry(this.#policy, outcome)
    this.isUnwanted = decision !== 'give-up'
    const { stats, breaker } = this.#cluster
    if (decision === 'limit-exceeded') {
      stats.rqRetryLimitExceeded.add(1)
      record.routeStats?.rqRetryLimitExceeded.add(1)
      addFlag(record, 'URX')
    }
    if (decision !== 'retry') return decision
    if (!breaker.tryAcquire('retries')) {
      record.routeStats?.rqRetryOverflow.add(1)
      addFlag(record, 'UO')
      return 'overflow'
    }
    this.#holdsUnit = true
    if (outcome.status !== undefined) stats.retriedAnswers.add(outcome.status)
    return 'retry'
  }

  /** Runs `next` after the back-off; as in Envoy, a retry counts when it is made, and not where nobody waits for it. */
  wait(record: RequestRecord, responseHeaders: HeaderList | undefined, next: () => void): void {
    const { clock, random, turn } = this.#runtime
    const { stats } = this.#cluster
    const options = { retry: record.attempts, random, clock, responseHeaders }
    const { delayMs, isAsked } = retryWait(this.#policy, options)
    this.#timer = clock.setTimer(delayMs, () => {
      this.#timer = undefined
      this.isUnwanted = false
      if (isAsked) stats.rqRetryBackoffRatelimited.add(1)
      else stats.rqRetryBackoffExponential.add(1)
      stats.rqRetry.add(1)
      record.routeStats?.rqRetry.add(1)
      turn.run(next)
    })
  }

  /** The retry is over: its place in the breaker is free. */
  release(): void {
    if (!this.#holdsUnit) return
    this.#holdsUnit = false
    this.#cluster.breaker.release('retries')
  }

  /** The exchange is over. */
  close(): void {
    this.release()
    this.#timer?.cancel()
    this.#timer = undefined
  }
}

const noHosts: readonly Host[] = []

interface SentRequest {
  readonly head: ResponseHead | undefined
  readonly requestSent: boolean
  readonly isReplayable: boolean
  readonly responseStarted: boolean
}

/** How an attempt ended, in the words of the policy. */
export function attemptOutcome(
  attempt: number,
  failure: Failure | undefined,
  { head, requestSent, isReplayable, responseStarted }: SentRequest,
): AttemptOutcome {
  return {
    attempt,
    status: head?.status,
    grpcStatus: grpcStatusOf(head?.headers),
    responseHeaders: head?.headers,
    failure,
    requestSent,
    isReplayable,
    responseStarted,
  }
}

/** Whether the attempt before ran out of time, for an upstream that is told (Envoy `include_is_timeout_retry_header`). */
export function tellTimeoutRetry(
  request: RequestHead,
  forward: ForwardAction,
  outcome: AttemptOutcome,
): void {
  if (forward.includeTimeoutRetryHeader !== true) return
  const isTimeout = outcome.failure === 'per-try-timeout'
  request.headers.set('x-envoy-is-timeout-retry', String(isTimeout))
}

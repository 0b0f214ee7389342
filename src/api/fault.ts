/**
 * Faults that are injected for a while, on the Unix socket of the owner (api/identity.ts): `GET /faults`, `POST /faults`
 * with a wish, `DELETE /faults/NAME`. None is without an end, so that none is forgotten.
 */

export interface FaultWish {
  /** Short names are completed by `namespace`. */
  readonly host: string
  readonly namespace: string
  readonly name?: string | undefined
  readonly delayMs?: number | undefined
  /** An HTTP status, or a gRPC status by its name. */
  readonly abort?: number | string | undefined
  /** Cut off without an answer; not beside `abort`. */
  readonly reset?: boolean | undefined
  /** Of requests, 0.0001 to 100. */
  readonly percent: number
  /** Only from this workload, or from those with this label `app`. */
  readonly from?: string | undefined
  /** Only with these values. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly forMs: number
}

export interface FaultObject extends Omit<FaultWish, 'name' | 'namespace' | 'forMs'> {
  readonly name: string
  /** RFC 3339. */
  readonly createdAt: string
  readonly endsAt: string
  /** In the answer to a wish: what makes it likely that nobody will meet this fault. */
  readonly warning?: string
}

export interface FaultList {
  readonly items: readonly FaultObject[]
}

export const faultLimits = {
  /** At a time, over all hosts. */
  countMax: 100,
  forMsMax: 24 * 3_600_000,
  forMsDefault: 10 * 60_000,
  delayMsMax: 3_600_000,
} as const

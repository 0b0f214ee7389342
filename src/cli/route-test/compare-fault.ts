/** Faults that a route test expects against those that the route injects. */
import { durationMs } from '../../model/duration.ts'
import { grpcStatusNames } from '../../model/istio/http-fault-shape.ts'
import type { ExpectedFault, RouteExpectation } from '../../model/mesh/route-test.ts'
import type { ExplainedAction, ExplainedFault } from '../../proxy/explain/explanation.ts'
import { timeText } from '../explain/explain-words.ts'
import { different } from './difference.ts'

export function compareFault(
  { fault }: RouteExpectation,
  action: ExplainedAction | undefined,
): readonly string[] {
  if (fault === undefined || action === undefined) return []
  const got = action.kind === 'forward' || action.kind === 'tunnel' ? action.fault : undefined
  return [...compareDelay(fault.delay, got?.delay), ...compareAbort(fault.abort, got?.abort)]
}

function compareDelay(
  expected: ExpectedFault['delay'],
  got: ExplainedFault['delay'],
): readonly string[] {
  if (expected === undefined) return []
  const { fixedDelay, share } = expected
  const ms = got?.ms ?? 0
  return [
    ...(durationMs(fixedDelay) === ms
      ? []
      : [different('fault.delay.fixedDelay', fixedDelay, timeText(ms))]),
    ...compareShare('fault.delay.share', share, got?.percent ?? 0),
  ]
}

function compareAbort(
  expected: ExpectedFault['abort'],
  got: ExplainedFault['abort'],
): readonly string[] {
  if (expected === undefined) return []
  const { httpStatus, grpcStatus, share } = expected
  const http = got?.grpcStatus === undefined ? got?.status : undefined
  const grpc = got?.grpcStatus === undefined ? undefined : grpcStatusNames[got.grpcStatus]
  return [
    ...compareWritten('fault.abort.httpStatus', httpStatus, http),
    ...compareWritten('fault.abort.grpcStatus', grpcStatus, grpc),
    ...compareShare('fault.abort.share', share, got?.percent ?? 0),
  ]
}

function compareShare(what: string, expected: number | undefined, got: number): readonly string[] {
  return expected === undefined || isShareSame(expected, got)
    ? []
    : [different(what, expected, got)]
}

function compareWritten(
  what: string,
  expected: string | number | undefined,
  got: string | number | undefined,
): readonly string[] {
  return expected === undefined || expected === got ? [] : [different(what, expected, got)]
}

/** To a hundredth of a per cent. */
export function isShareSame(expected: number, got: number): boolean {
  return Math.abs(got - expected) < 0.005
}

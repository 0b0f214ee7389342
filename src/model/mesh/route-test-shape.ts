/** RouteTest, field by field. */
import { grpcStatusNames } from '../istio/http-fault-shape.ts'
import { durationText, labels, port } from '../schema/field-shape.ts'
import { nonEmpty } from '../schema/format.ts'
import { headerName } from '../schema/http-format.ts'
import { dnsLabel } from '../schema/name-format.ts'
import { atLeastOne, excludes } from '../schema/rule.ts'
import {
  clip,
  either,
  int,
  list,
  mapOf,
  named,
  number,
  object,
  oneOf,
  required,
  text,
} from '../schema/shape.ts'
import type { Check, Rule, Shape } from '../schema/shape.ts'
import type {
  ExpectedDestination,
  ExpectedFault,
  ExpectedHeaders,
  ExpectedRedirect,
  ExpectedRetries,
  ExpectedRewrite,
  RouteCase,
  RouteClient,
  RouteExpectation,
  RouteRequest,
  RouteTestSpec,
} from './route-test.ts'

const httpUrl: Check<string> = (value) =>
  /^https?:\/\/[^/?#\s]+[^#\s]*$/i.test(value)
    ? undefined
    : {
        message: `must be a URL of HTTP, got "${clip(value)}"`,
        remedy: 'Write it as the application does, such as http://reviews:9080/path.',
      }

const method: Check<string> = (value) =>
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value)
    ? undefined
    : { message: `must be a method, got "${clip(value)}"`, remedy: 'Use a method such as GET.' }

const client: Shape<string | RouteClient> = named(
  'text or object',
  either(
    text(nonEmpty),
    object<RouteClient>({ namespace: text(dnsLabel), labels: labels() }),
    (node) => (node.type === 'map' ? { message: 'not a text', remedy: '' } : undefined),
  ),
)

const given: Shape<RouteRequest> = object<RouteRequest>({
  from: client,
  method: text(method),
  url: required(text(httpUrl)),
  headers: mapOf(text(), headerName),
})

const share = (): Shape<number> => number({ min: 0, max: 100 })

const destination: Shape<ExpectedDestination> = object<ExpectedDestination>({
  host: required(text(nonEmpty)),
  subset: text(),
  port: port(),
  share: share(),
})

const headers: Shape<ExpectedHeaders> = object<ExpectedHeaders>(
  { set: mapOf(text(), headerName), removed: list(text(headerName)) },
  atLeastOne('set', 'removed'),
)

const status = (): Shape<number> => int({ min: 200, max: 599 })

const fault: Shape<ExpectedFault> = object<ExpectedFault>(
  {
    delay: object<NonNullable<ExpectedFault['delay']>>({
      fixedDelay: required(durationText({ isZeroAllowed: true })),
      share: share(),
    }),
    abort: object<NonNullable<ExpectedFault['abort']>>(
      { httpStatus: status(), grpcStatus: oneOf(...grpcStatusNames), share: share() },
      atLeastOne('httpStatus', 'grpcStatus', 'share'),
    ),
  },
  atLeastOne('delay', 'abort'),
)

const forwardFields = [
  'destination',
  'destinations',
  'rewrite',
  'requestHeaders',
  'timeout',
  'retries',
  'mirrors',
] as const

const atLeastOneExpectation: Rule<RouteExpectation> = atLeastOne<RouteExpectation>(
  ...forwardFields,
  'fault',
  'status',
  'body',
  'redirect',
  'responseHeaders',
  'route',
)

const expectation: Shape<RouteExpectation> = object<RouteExpectation>(
  {
    destination,
    destinations: list(destination, { itemsMin: 1 }),
    rewrite: object<ExpectedRewrite>(
      { path: text(nonEmpty), authority: text(nonEmpty) },
      atLeastOne('path', 'authority'),
    ),
    status: status(),
    body: text(),
    redirect: object<ExpectedRedirect>({ location: required(text(nonEmpty)), status: status() }),
    requestHeaders: headers,
    responseHeaders: headers,
    timeout: durationText({ isZeroAllowed: true }),
    retries: object<ExpectedRetries>({
      attempts: required(int({ min: 0 })),
      perTryTimeout: durationText(),
    }),
    fault,
    mirrors: list(destination),
    route: text(nonEmpty),
  },
  atLeastOneExpectation,
  excludes('destinations', 'destination'),
  excludes('redirect', ...forwardFields, 'fault', 'body'),
  excludes('body', ...forwardFields, 'fault'),
)

export const routeTestShape: Shape<RouteTestSpec> = object<RouteTestSpec>({
  tests: required(
    list(
      object<RouteCase>({
        name: text(nonEmpty),
        given: required(given),
        expect: required(expectation),
      }),
      { itemsMin: 1 },
    ),
  ),
})

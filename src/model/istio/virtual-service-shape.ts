/**
 * VirtualService, field by field. Rules that join the routes with the hosts and gateways of the whole spec are in
 * virtual-service-rule.ts.
 */
import { durationText, exportTo, labels, portOrZero } from '../schema/field-shape.ts'
import { hostLabel, ipOrSubnet } from '../schema/host-format.ts'
import { matchHeaderName } from '../schema/http-format.ts'
import { excludes } from '../schema/rule.ts'
import { bool, deprecated, int, list, mapOf, object, required, text } from '../schema/shape.ts'
import type { Check, Shape } from '../schema/shape.ts'
import { destination, httpRouteDestinations, routeDestinations } from './destination-shape.ts'
import { gatewayNames } from './gateway-name.ts'
import { headers } from './header-shape.ts'
import { directResponse, redirect, retries, rewrite } from './http-action-shape.ts'
import { corsPolicy, faultInjection, percent } from './http-fault-shape.ts'
import {
  checkAuthorityOnce,
  checkDelegateRoot,
  checkHasRoute,
  checkHttpAction,
  checkPrefixRewrite,
} from './http-route-rule.ts'
import { stringMatch } from './string-match-shape.ts'
import { virtualServiceRules } from './virtual-service-rule.ts'
import type {
  Delegate,
  HttpMatchRequest,
  HttpMirrorPolicy,
  HttpRoute,
  L4MatchAttributes,
  TcpRoute,
  TlsMatchAttributes,
  TlsRoute,
  VirtualServiceSpec,
} from './virtual-service.ts'

/** An empty namespace is none, as in protobuf. */
const namespaceOrEmpty: Check<string> = (value) => (value === '' ? undefined : hostLabel(value))

const match: Shape<HttpMatchRequest> = object<HttpMatchRequest>({
  name: text(),
  uri: stringMatch({ isEmptyPrefixAllowed: true }),
  scheme: stringMatch(),
  method: stringMatch(),
  authority: stringMatch(),
  headers: mapOf(stringMatch({ isPresence: true }), matchHeaderName),
  withoutHeaders: mapOf(stringMatch({ isPresence: true }), matchHeaderName),
  queryParams: mapOf(stringMatch({ isPresence: true })),
  port: portOrZero(),
  sourceLabels: labels(),
  sourceNamespace: text(namespaceOrEmpty),
  gateways: gatewayNames(),
  ignoreUriCase: bool(),
  statPrefix: text(),
})

const mirror: Shape<HttpMirrorPolicy> = object<HttpMirrorPolicy>({
  destination: required(destination()),
  percentage: percent({ isTinyAllowed: true }),
})

const delegate: Shape<Delegate> = object<Delegate>(
  { name: text(), namespace: text(namespaceOrEmpty) },
  (value, path, reading) => {
    if (value.name !== undefined && value.name !== '') return
    reading.report(path, {
      code: 'IST0133',
      severity: 'warning',
      message: 'a delegate without a name delegates to nothing',
      remedy: 'Add the name of a VirtualService without hosts.',
    })
  },
)

const mirrorPercent = (): Shape<number> =>
  deprecated(int({ min: 0, max: 100 }), {
    code: 'IST0133',
    message: 'mirrorPercent is deprecated',
    remedy: 'Use mirrorPercentage.value instead.',
  })

const httpRoute: Shape<HttpRoute> = object<HttpRoute>(
  {
    name: text(),
    match: list(match),
    route: httpRouteDestinations(),
    redirect: redirect(),
    directResponse: directResponse(),
    delegate,
    rewrite: rewrite(),
    timeout: durationText(),
    retries: retries(),
    fault: faultInjection(),
    mirror: destination(),
    mirrors: list(mirror),
    mirrorPercent: mirrorPercent(),
    mirror_percent: mirrorPercent(),
    mirrorPercentage: percent({ isTinyAllowed: true }),
    corsPolicy: corsPolicy(),
    headers: headers(),
  },
  checkHttpAction,
  checkDelegateRoot,
  checkAuthorityOnce,
  checkPrefixRewrite,
  excludes<HttpRoute>('mirror', 'mirrors'),
)

const tlsMatch: Shape<TlsMatchAttributes> = object<TlsMatchAttributes>({
  sniHosts: required(list(text(), { itemsMin: 1 })),
  destinationSubnets: list(text(ipOrSubnet)),
  port: portOrZero(),
  sourceLabels: labels(),
  sourceNamespace: text(namespaceOrEmpty),
  gateways: gatewayNames(),
})

const tcpMatch: Shape<L4MatchAttributes> = object<L4MatchAttributes>({
  destinationSubnets: list(text(ipOrSubnet)),
  port: portOrZero(),
  sourceSubnet: deprecated(text(), {
    code: 'IST0002',
    message: 'sourceSubnet is deprecated and ignored, by Istio too',
    remedy: 'Remove it; use sourceLabels to tell callers apart.',
  }),
  sourceLabels: labels(),
  sourceNamespace: text(namespaceOrEmpty),
  gateways: gatewayNames(),
})

const tlsRoute: Shape<TlsRoute> = object<TlsRoute>(
  {
    match: required(list(tlsMatch, { itemsMin: 1 })),
    route: required(routeDestinations()),
  },
  checkHasRoute,
)

const tcpRoute: Shape<TcpRoute> = object<TcpRoute>(
  {
    match: list(tcpMatch),
    route: required(routeDestinations()),
  },
  checkHasRoute,
)

export const virtualServiceShape: Shape<VirtualServiceSpec> = object<VirtualServiceSpec>(
  {
    hosts: list(text()),
    gateways: gatewayNames(),
    http: list(httpRoute),
    tls: list(tlsRoute),
    tcp: list(tcpRoute),
    exportTo: exportTo(),
  },
  ...virtualServiceRules,
)

/**
 * `request_mirror_policies`: to which other clusters a copy of a request goes. Those of the route, else of its virtual
 * host, else of the table.
 */
import type { RouteAction_RequestMirrorPolicy as MirrorMessage } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  ignored,
  refuse,
  refusedField,
  used,
} from '../config/field-rule.ts'
import { checkHeaderText } from '../config/header-text.ts'
import { runtimeFractionRule } from '../config/runtime-fields.ts'
import { type Fraction, always, fractionOf } from '../filter/fraction.ts'
import type { RequestHead } from '../http/message.ts'
import { requestReader } from './header-matcher.ts'
import type { MirrorPolicy } from './route-table.ts'

export const mirrorRule: MessageRule = {
  type: 'envoy.config.route.v3.RouteAction.RequestMirrorPolicy',
  fields: {
    cluster: used(),
    clusterHeader: used(),
    runtimeFraction: used(runtimeFractionRule),
    traceSampled: ignored('tracing is not implemented yet'),
    disableShadowHostSuffixAppend: used(),
    requestHeadersMutations: refusedField('not implemented yet'),
    hostRewriteLiteral: refusedField('not implemented yet'),
  },
}

export function compileMirrors(
  messages: readonly MirrorMessage[],
  report: FieldReport,
): readonly MirrorPolicy[] | undefined {
  if (messages.length === 0) return undefined
  return messages.map((message, index) => compileMirror(message, at(report, index)))
}

function compileMirror(message: MirrorMessage, report: FieldReport): MirrorPolicy {
  const { cluster, clusterHeader } = message
  if ((cluster === '') === (clusterHeader === '')) {
    refuse(report, 'exactly one of cluster and cluster_header must be set')
  }
  checkHeaderText(clusterHeader, at(report, 'cluster_header'))
  return {
    clusterOf: cluster === '' ? readCluster(clusterHeader) : () => cluster,
    share: compileShare(message, report),
    keepsHost: message.disableShadowHostSuffixAppend,
  }
}

function readCluster(header: string): (head: RequestHead) => string {
  const read = requestReader(header)
  return (head) => read(head) ?? ''
}

function compileShare(message: MirrorMessage, report: FieldReport): Fraction {
  const { runtimeFraction } = message
  if (runtimeFraction === undefined) return always
  if (runtimeFraction.defaultValue === undefined) {
    refuse(at(report, 'runtime_fraction', 'default_value'), 'is required')
  }
  return fractionOf(runtimeFraction.defaultValue)
}

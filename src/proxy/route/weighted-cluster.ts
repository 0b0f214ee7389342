/** The cluster of a request: a fixed one, one that a header names, or a weighted split that draws once. */
import type { Random } from '../../lib/random.ts'
import type {
  RouteAction,
  WeightedCluster,
  WeightedCluster_ClusterWeight as ClusterWeight,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { checkHeaderText, octetsOf } from '../config/header-text.ts'
import type { FilterConfigs } from '../filter/route-config.ts'
import type { RequestHead } from '../http/message.ts'
import { requestReader } from './header-matcher.ts'
import { type RouteCompiler, mergeConfigs } from './route-compiler.ts'
import type { ForwardAction, PickedCluster } from './route-table.ts'

type PickCluster = ForwardAction['pickCluster']

const weightSumMax = 4_294_967_295

/** What the parts of a split are compiled with, and what they inherit. */
export interface ClusterContext {
  readonly compiler: RouteCompiler
  readonly filterConfigs: FilterConfigs | undefined
}

export function compileClusters(
  action: RouteAction,
  context: ClusterContext,
  report: FieldReport,
): PickCluster {
  const specifier = action.clusterSpecifier
  switch (specifier?.$case) {
    case 'cluster': {
      if (specifier.value === '') refuse(at(report, 'cluster'), 'is required')
      const picked = plainPick(specifier.value)
      return () => picked
    }
    case 'clusterHeader':
      if (specifier.value === '') refuse(at(report, 'cluster_header'), 'is required')
      checkHeaderText(specifier.value, at(report, 'cluster_header'))
      return pickByHeader(specifier.value)
    case 'weightedClusters':
      return compileWeighted(specifier.value, context, at(report, 'weighted_clusters'))
    case undefined:
      refuse(at(report, 'cluster_specifier'), 'is required')
      return () => plainPick('')
    case 'clusterSpecifierPlugin':
    case 'inlineClusterSpecifierPlugin':
    default:
      // The table of fields has refused it.
      return () => plainPick('')
  }
}

function plainPick(cluster: string): PickedCluster {
  return { cluster, editRequest: undefined, editResponse: undefined }
}

/** A request without the header names no cluster, and gets what an unknown one gets. */
function pickByHeader(name: string): PickCluster {
  const read = requestReader(name)
  return (_random, head) => plainPick(read(head) ?? '')
}

type PickPart = (head: RequestHead) => PickedCluster

function compileWeighted(
  split: WeightedCluster,
  context: ClusterContext,
  report: FieldReport,
): PickCluster {
  const parts: PickPart[] = []
  /** Upper end of each part's share of the sum. */
  const ends: number[] = []
  let sum = 0
  split.clusters.forEach((part, index) => {
    const here = at(report, 'clusters', index)
    if (part.weight === undefined) refuse(at(here, 'weight'), 'is required')
    sum += part.weight ?? 0
    parts.push(compilePart(part, context, here))
    ends.push(sum)
  })
  if (split.clusters.length === 0) {
    refuse(at(report, 'clusters'), 'value must contain at least 1 item(s)')
  } else if (sum === 0) refuse(report, 'the sum of the weights must be greater than 0')
  if (sum > weightSumMax) refuse(report, `the sum of the weights must be at most ${weightSumMax}`)
  checkHeaderText(drawHeader(split), at(report, 'header_name'))
  const drawOf = compileDraw(split, sum)
  return (random, head) => {
    const draw = drawOf(random, head)
    let index = 0
    while (index < ends.length - 1 && draw >= (ends[index] as number)) index += 1 // in bounds
    return (parts[index] as PickPart)(head) // a split has at least one part
  }
}

/** Empty where the split draws itself. */
function drawHeader({ randomValueSpecifier: specifier }: WeightedCluster): string {
  return specifier?.$case === 'headerName' ? specifier.value : ''
}

/** A header may hold the draw, so that several proxies on the way of a request choose alike. */
function compileDraw(
  split: WeightedCluster,
  sum: number,
): (random: Random, head: RequestHead) => number {
  const name = drawHeader(split)
  if (name === '') return (random) => Math.floor(random() * sum)
  const lower = name.toLowerCase()
  return (random, head) => {
    const text = head.headers.get(lower)
    if (text === undefined || !/^\d{1,20}$/.test(text)) return Math.floor(random() * sum)
    return Number(BigInt(text) % BigInt(sum))
  }
}

function compilePart(part: ClusterWeight, context: ClusterContext, report: FieldReport): PickPart {
  const { compiler } = context
  if ((part.name === '') === (part.clusterHeader === '')) {
    refuse(report, 'exactly one of name and cluster_header must be set')
  }
  checkHeaderText(part.clusterHeader, at(report, 'cluster_header'))
  const edits = compiler.edits(part, report)
  const own = compiler.filterConfigs(part.typedPerFilterConfig, report)
  const filterConfigs = own && mergeConfigs(context.filterConfigs, own)
  const rewriteAuthority = octetsOf(part.hostRewriteSpecifier?.value ?? '')
  checkHeaderText(rewriteAuthority, at(report, 'host_rewrite_literal'))
  const rest = {
    ...edits,
    ...(rewriteAuthority !== '' && { rewriteAuthority }),
    ...(filterConfigs && { filterConfigs }),
  }
  if (part.name !== '') {
    const picked = { cluster: part.name, ...rest }
    return () => picked
  }
  const read = requestReader(part.clusterHeader)
  return (head) => ({ cluster: read(head) ?? '', ...rest })
}

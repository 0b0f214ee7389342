/** Envoy messages for tests, written as their JSON, so that a test reads like the config it is about. */
import { parse } from 'yaml'

import type { MessageCodec } from '../../src/xds/any.ts'
import { MessageJson } from '../../src/xds/json.ts'
import { Cluster } from '../../src/xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { ClusterLoadAssignment } from '../../src/xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import { Listener } from '../../src/xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { RouteConfiguration } from '../../src/xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../src/xds/resource-set.ts'

const json = new MessageJson()

/** Each takes YAML text. */
export const envoyMessage = {
  cluster: (text: string): Cluster => json.parse(typeUrls.cluster, Cluster, parse(text)),
  assignment: (text: string): ClusterLoadAssignment =>
    json.parse(typeUrls.endpoint, ClusterLoadAssignment, parse(text)),
  listener: (text: string): Listener => json.parse(typeUrls.listener, Listener, parse(text)),
  routes: (text: string): RouteConfiguration =>
    json.parse(typeUrls.route, RouteConfiguration, parse(text)),
}

/** Any other message, by its type's name and JSON; what is undefined is absent. */
export function messageOf<T>(typeName: string, codec: MessageCodec<T>, fields: unknown): T {
  return json.parse(typeName, codec, JSON.parse(JSON.stringify(fields)))
}

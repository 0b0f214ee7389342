/** The resources that a sidecar would get, as JSON in Envoy's field names: for `tulle proxy-config` offline. */
import { MessageJson, type JsonValue } from '../xds/json.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../xds/resource-set.ts'

export interface ResourceLists {
  readonly listeners: readonly JsonValue[]
  readonly routes: readonly JsonValue[]
  readonly clusters: readonly JsonValue[]
  readonly assignments: readonly JsonValue[]
}

export function resourceLists(view: ResourceView): ResourceLists {
  const json = new MessageJson()
  const list = (typeUrl: string) =>
    [...view.resources(typeUrl).values()].map(({ any }) =>
      json.bytesToJson(typeUrl, Any.decode(any).value),
    )
  return {
    listeners: list(typeUrls.listener),
    routes: list(typeUrls.route),
    clusters: list(typeUrls.cluster),
    assignments: list(typeUrls.endpoint),
  }
}

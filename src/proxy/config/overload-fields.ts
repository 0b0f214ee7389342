/** What we read of an OverloadManager. */
import { type MessageRule, refusedField, used } from './field-rule.ts'

const trigger: MessageRule = {
  type: 'envoy.config.overload.v3.Trigger',
  fields: {
    name: used(),
    threshold: used({
      type: 'envoy.config.overload.v3.ThresholdTrigger',
      fields: { value: used() },
    }),
    scaled: used({
      type: 'envoy.config.overload.v3.ScaledTrigger',
      fields: { scalingThreshold: used(), saturationThreshold: used() },
    }),
  },
}

export const overloadRule: MessageRule = {
  type: 'envoy.config.overload.v3.OverloadManager',
  fields: {
    refreshInterval: used(
      undefined,
      'the limits that the sidecar has of its own are looked at as often',
    ),
    resourceMonitors: used({
      type: 'envoy.config.overload.v3.ResourceMonitor',
      fields: {
        name: used(),
        typedConfig: used(
          undefined,
          'fixed_heap (what the process has resident), cgroup_memory, injected_resource and global_downstream_max_connections',
        ),
      },
    }),
    actions: used({
      type: 'envoy.config.overload.v3.OverloadAction',
      fields: {
        name: used(
          undefined,
          'stop_accepting_requests, disable_http_keepalive, stop_accepting_connections, reject_incoming_connections; shrink_heap has no effect, because V8 gives memory back by itself',
        ),
        triggers: used(trigger),
        typedConfig: refusedField('typed_config of an overload action is not implemented'),
      },
    }),
    loadshedPoints: used({
      type: 'envoy.config.overload.v3.LoadShedPoint',
      fields: {
        name: used(undefined, 'tcp_listener_accept and http_connection_manager_decode_headers'),
        triggers: used(trigger),
      },
    }),
    bufferFactoryConfig: refusedField(
      'accounts of buffers by stream are not implemented: each stream and connection has a ceiling of its own',
    ),
  },
}

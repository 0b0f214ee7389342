/**
 * What the network filter `set_filter_state` says of every connection of a filter chain: texts by key, which hash policies
 * (Envoy `filter_state`) and formats (`%FILTER_STATE%`) read.
 *
 * Only constant text is taken: it is known when the listener is compiled, so that no request pays for it.
 */
import { typeNameOf } from '../../xds/any.ts'
import type { FilterStateValue } from '../../xds/proto/generated/envoy/extensions/filters/common/set_filter_state/v3/value.ts'
import { FilterStateValue_SharedWithUpstream as SharedWithUpstream } from '../../xds/proto/generated/envoy/extensions/filters/common/set_filter_state/v3/value.ts'
import { Config } from '../../xds/proto/generated/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { FilterState } from '../listener/listener-config.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  ignored,
  refuse,
  refusedField,
  showValue,
  used,
} from './field-rule.ts'
import { decodeTyped } from './message-value.ts'

const valueRule: MessageRule = {
  type: 'envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue',
  fields: {
    objectKey: used(),
    factoryKey: used(undefined, 'envoy.hashable_string'),
    formatString: used({
      type: 'envoy.config.core.v3.SubstitutionFormatString',
      fields: {
        textFormat: used(undefined, 'without operators'),
        textFormatSource: used({
          type: 'envoy.config.core.v3.DataSource',
          fields: {
            inlineString: used(undefined, 'without operators'),
            inlineBytes: refusedField('text from bytes is not implemented'),
            filename: refusedField('text from files is not implemented'),
            environmentVariable: refusedField('text from the environment is not implemented'),
          },
        }),
        omitEmptyValues: ignored('the text is constant'),
      },
    }),
    readOnly: ignored('nothing here writes it again'),
    sharedWithUpstream: refusedField(
      'sharing state with upstream connections is not implemented',
      SharedWithUpstream.NONE,
    ),
    skipIfEmpty: used(),
  },
}

export const networkStateRule: MessageRule = {
  type: 'envoy.extensions.filters.network.set_filter_state.v3.Config',
  fields: { onNewConnection: used(valueRule) },
}

const hashable = 'envoy.hashable_string'

export function isFilterState(any: Any | undefined): boolean {
  return any !== undefined && typeNameOf(any.typeUrl) === networkStateRule.type
}

/** Later values win, as in Envoy. */
export function compileFilterState(any: Any, report: FieldReport): FilterState {
  const config = decodeTyped(any, Config, report)
  if (config === undefined) return {}
  checkFields(config, networkStateRule, report)
  const state: Record<string, string> = {}
  for (const [index, value] of config.onNewConnection.entries()) {
    const here = at(report, 'on_new_connection', index)
    const key = keyOf(value, here)
    const text = textOf(value, here)
    if (text === undefined || (text === '' && value.skipIfEmpty)) continue
    state[key] = text
  }
  return state
}

function keyOf({ key, factoryKey }: FilterStateValue, report: FieldReport): string {
  const name = key?.value ?? ''
  if (name === '') refuse(at(report, 'object_key'), 'value length must be at least 1 characters')
  const factory = factoryKey === '' ? name : factoryKey
  if (factory !== hashable) {
    const here = at(report, factoryKey === '' ? 'object_key' : 'factory_key')
    refuse(here, `objects of ${showValue(factory)} are not implemented, only of ${hashable}`)
  }
  return name
}

function textOf({ value }: FilterStateValue, report: FieldReport): string | undefined {
  const format = value?.value.format
  const here = at(report, 'format_string')
  if (format === undefined || format.$case === 'jsonFormat') {
    refuse(here, 'text is required')
    return undefined
  }
  const source = format.$case === 'textFormat' ? format.value : format.value.specifier
  const text = typeof source === 'string' ? source : source?.value
  if (typeof text !== 'string') return undefined
  if (text.includes('%')) refuse(here, `operators are not implemented, got ${showValue(text)}`)
  return text
}

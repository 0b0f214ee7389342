/** Envoy `header_key_format` → how header names are spelt. */
import { typeNameOf } from '../../xds/any.ts'
import type { Http1ProtocolOptions_HeaderKeyFormat as HeaderKeyFormat } from '../../xds/proto/generated/envoy/config/core/v3/protocol.ts'
import {
  PreserveCaseFormatterConfig,
  PreserveCaseFormatterConfig_FormatterTypeOnEnvoyHeaders as OnEnvoyHeaders,
} from '../../xds/proto/generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { properCase, type HeaderSpelling } from '../http1/spelling.ts'
import { type FieldReport, at, checkFields, refuse } from './field-rule.ts'
import { preserveCaseRule } from './header-format-fields.ts'
import { decodeTyped } from './message-value.ts'

/** Undefined: lower case. */
export function compileHeaderSpelling(
  format: HeaderKeyFormat | undefined,
  report: FieldReport,
): HeaderSpelling | undefined {
  if (format === undefined) return undefined
  const specifier = format.headerFormat
  if (specifier?.$case === 'properCaseWords') return { keepsReceived: false, others: properCase }
  if (specifier?.$case === 'statefulFormatter') {
    const { typedConfig } = specifier.value
    return preserved(typedConfig, at(report, 'stateful_formatter', 'typed_config'))
  }
  refuse(at(report, 'header_format'), 'is required')
  return undefined
}

function preserved(any: Any | undefined, report: FieldReport): HeaderSpelling | undefined {
  const type = any && typeNameOf(any.typeUrl)
  if (any === undefined || type !== preserveCaseRule.type) {
    refuse(report, type === undefined ? 'is required' : `${type} is not implemented`)
    return undefined
  }
  const config = decodeTyped(any, PreserveCaseFormatterConfig, report)
  if (config === undefined) return undefined
  checkFields(config, preserveCaseRule, report)
  const isProper = config.formatterTypeOnEnvoyHeaders === OnEnvoyHeaders.PROPER_CASE
  return { keepsReceived: true, others: isProper ? properCase : undefined }
}

/** What we read of `header_key_format`, on listeners and on clusters. */
import { type MessageRule, refusedField, used } from './field-rule.ts'

export const preserveCaseRule: MessageRule = {
  type: 'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig',
  fields: {
    forwardReasonPhrase: refusedField('reason phrases are not passed on', false),
    formatterTypeOnEnvoyHeaders: used(),
  },
}

export const headerKeyFormatRule: MessageRule = {
  type: 'envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat',
  fields: {
    properCaseWords: used(),
    statefulFormatter: used(undefined, 'preserve_case only'),
  },
}

/** `/listeners`: names and addresses of what accepts. */
import type { ListenerStatus } from '../config/data-plane.ts'
import { addressText } from '../config/message-value.ts'
import { addressJson } from './address-json.ts'
import { type AdminPage, adminPage, jsonReply, textReply } from './admin-page.ts'

export function listenerPage(listeners: () => Promise<readonly ListenerStatus[]>): AdminPage {
  return adminPage({
    path: '/listeners',
    help: 'print listener info',
    parameters: [{ name: 'format', help: 'File format to use; One of (text, json)' }],
    async run(query) {
      const all = await listeners()
      if (query.get('format') === 'json') {
        return jsonReply({
          listener_statuses: all.map(({ name, address }) => ({
            name,
            local_address: addressJson(address),
          })),
        })
      }
      return textReply(
        all.map(({ name, address }) => `${name}::${addressText(address)}\n`).join(''),
      )
    },
  })
}

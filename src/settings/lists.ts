/** Which settings are lists, whose elements can be added and taken away one by one (KIP-339), and what they hold by default. Does not hold values. */
import { brokerSettingsByName } from './broker-settings.ts';
import type { Setting, SettingValue } from './setting.ts';
import { topicSettings } from './topic-settings.ts';

const topicSettingsByName: ReadonlyMap<string, Setting<SettingValue>> = new Map(Object.entries(topicSettings));

export type SettingsOwner = 'topic' | 'broker' | 'other';

export function isListSetting(owner: SettingsOwner, name: string): boolean {
  return settingOf(owner, name)?.type === 'list';
}

/** Kafka's own default, not what the broker has set: an element is added to that. */
export function listDefault(owner: SettingsOwner, name: string): string | null {
  return settingOf(owner, name)?.defaultText ?? null;
}

function settingOf(owner: SettingsOwner, name: string): Setting<SettingValue> | undefined {
  return owner === 'topic' ? topicSettingsByName.get(name) : owner === 'broker' ? brokerSettingsByName.get(name) : undefined;
}

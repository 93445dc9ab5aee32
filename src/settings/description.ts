/** How a setting is shown by DescribeConfigs: value, source, synonyms. The codes are Kafka's, on the wire since DescribeConfigs 1 and 3. */
import type { Setting, SettingType } from './setting.ts';

export const ConfigSource = {
  DYNAMIC_TOPIC: 1,
  DYNAMIC_BROKER: 2,
  DYNAMIC_DEFAULT_BROKER: 3,
  STATIC_BROKER: 4,
  DEFAULT: 5,
  DYNAMIC_BROKER_LOGGER: 6,
  CLIENT_METRICS: 7,
  GROUP: 8,
} as const;
export type ConfigSource = (typeof ConfigSource)[keyof typeof ConfigSource];

/** 0 is what Kafka says of a setting it does not know. */
const TYPE_CODES: Readonly<Record<SettingType, number>> = { boolean: 1, string: 2, int: 3, short: 4, long: 5, double: 6, list: 7, class: 8, password: 9 };

export interface SettingSynonym {
  readonly name: string;
  /** null where it is sensitive. */
  readonly value: string | null;
  readonly source: ConfigSource;
}

export interface SettingDescription {
  readonly name: string;
  /** null where it is sensitive, or unset. */
  readonly value: string | null;
  readonly source: ConfigSource;
  readonly readOnly: boolean;
  readonly isSensitive: boolean;
  /** Strongest first; the first is in force. */
  readonly synonyms: readonly SettingSynonym[];
  readonly configType: number;
}

export function describeSetting(options: {
  name: string;
  setting: Setting;
  value: string | null;
  readOnly: boolean;
  synonyms: readonly SettingSynonym[];
}): SettingDescription {
  const { name, setting, value, readOnly, synonyms } = options;
  return {
    name,
    value: setting.sensitive ? null : value,
    source: synonyms[0]?.source ?? ConfigSource.DEFAULT,
    readOnly,
    isSensitive: setting.sensitive,
    synonyms,
    configType: TYPE_CODES[setting.type],
  };
}

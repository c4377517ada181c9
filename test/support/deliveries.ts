import type { Channel, ToldAlert } from '../../contracts/alerts.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { noticeOf } from '../../domain/monitoring/alert-notice.ts';
import { nextAlerts } from '../../domain/monitoring/alerts.ts';
import { verdictOf } from '../../domain/monitoring/verdict.ts';
import { type DeliverySettings, deliver } from '../../lib/notices/deliver.ts';
import { dayWindow, watching } from './window-reports.ts';

export const KEY = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
export const PASSWORD = 'p@ss word/π';

/** A name of a column that tries to be a header, a mention, a link and a tag. */
export const EVIL = 'a<b>&"c\r\nBcc: eve@example.org\r\n\r\n<!channel> <http://evil.example|x> *bold*';

/** A notice of two events, one of them about a column with that name. */
export function sampleNotice(): ToldAlert {
  const verdicts = [
    verdictOf('quality', 'breached', 500, 'brier_score 0.288 over 500 labels, at most 0.264', {
      of: 'brier_score',
      observed: 0.288,
      limit: 0.264,
    }),
    verdictOf('prediction-drift', 'breached', 1_000, `PSI 1.5, at most 0.25 ${EVIL}`, { of: EVIL }),
  ];
  const window = dayWindow(3);
  const notice = noticeOf({
    endpoint: 'bank',
    pipeline: 'bank-subscription',
    version: '3',
    window,
    events: nextAlerts(watching().alerts, [], [], verdicts, window).events,
    next: 'A retraining is asked for.',
    url: 'https://mlflow.example.org/report.html?a=1&b=2',
    plot: null,
  });
  return { ...notice, plot: '<svg xmlns="http://www.w3.org/2000/svg"/>' };
}

/** What no failure may say. */
const SECRETS = [
  'the-token',
  KEY,
  KEY.slice(6),
  'secret-path',
  PASSWORD,
  encodeURIComponent(PASSWORD),
  'secret-of',
];

/** The failure of a delivery, which holds nothing secret. */
export async function failedDelivery(channel: Channel, settings: DeliverySettings): Promise<PerennialError> {
  const error = await deliver({ channel, notice: sampleNotice() }, settings).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof PerennialError)) throw new Error('it did not fail as it should');
  const words = `${error.message} ${JSON.stringify(error)} ${String(error.cause)}`;
  if (SECRETS.some((secret) => words.includes(secret))) throw new Error('a secret is told');
  return error;
}

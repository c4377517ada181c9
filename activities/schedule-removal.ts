import { type Client, ScheduleNotFoundError } from '@temporalio/client';

/** Deletes a schedule; one that is not there is gone already. */
export async function removeSchedule(
  { schedule: schedules }: Pick<Client, 'schedule'>,
  scheduleId: string,
): Promise<void> {
  try {
    await schedules.getHandle(scheduleId).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

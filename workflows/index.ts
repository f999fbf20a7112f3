export { approvalWorkflow } from './approval';
export { planWorkflow } from './plan';
